"""Adds tokens with `gov add-tokens` to checkpoints that transformers wrote, and has transformers load the results:
ids of AutoTokenizer, weights (old ones equal, bit by bit; new rows those of the token copied), logits.
Made with torch 2.13.0, transformers 5.23.0.  python resize_check.py path/to/gov
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from transformers import (AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer, GPT2Config,
                          GPT2LMHeadModel, InternVLConfig, InternVLForConditionalGeneration, LlamaConfig,
                          LlamaForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM)

LATENTS = ["<|start-latent|>", "<|end-latent|>", "<|latent|>"]
TOKENIZERS = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "tokenizer"


def small(config, size, **more):
    return config(vocab_size=size, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                  num_key_value_heads=2, **more)


def cases(size_of):
    yield "qwen2", "qwen2", Qwen2ForCausalLM(small(Qwen2Config, size_of("qwen2"), tie_word_embeddings=True))
    yield "qwen2 bf16 untied, rows in reserve", "qwen2", Qwen2ForCausalLM(
        small(Qwen2Config, size_of("qwen2") + 64, tie_word_embeddings=False)).bfloat16()
    yield "llama2", "llama2", LlamaForCausalLM(small(LlamaConfig, size_of("llama2")))
    yield "gpt2", "gpt2", GPT2LMHeadModel(GPT2Config(vocab_size=size_of("gpt2"), n_embd=32, n_layer=2, n_head=4))
    vision = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=[32, 32],
                  patch_size=[8, 8])
    text = small(Qwen2Config, size_of("qwen2"), tie_word_embeddings=False).to_dict()
    yield "internvl", "qwen2", InternVLForConditionalGeneration(
        InternVLConfig(vision_config=vision, text_config=text, image_token_id=7, image_seq_length=4))


def main():
    tool = sys.argv[1]
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        for name, tokenizer_name, model in cases(lambda n: len(
                PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZERS / n / "tokenizer.json")))):
            folder = pathlib.Path(temporary) / name.replace(" ", "_").replace(",", "")
            grown = folder / "grown"
            model.eval().save_pretrained(folder)
            PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZERS / tokenizer_name / "tokenizer.json")
                                    ).save_pretrained(folder)
            before = AutoTokenizer.from_pretrained(folder)
            copied = before.convert_ids_to_tokens(40)
            subprocess.run([tool, "add-tokens", "--model", folder, "--output", grown, "--init", f"copy:{copied}",
                            *(part for token in LATENTS for part in ("--token", token))], check=True,
                           stdout=subprocess.DEVNULL)
            after = AutoTokenizer.from_pretrained(grown)
            ids = after.convert_tokens_to_ids(LATENTS)
            assert ids == [len(before), len(before) + 1, len(before) + 2], ids
            assert after("the <|latent|> end")["input_ids"].count(ids[2]) == 1
            text = "Roses are red, violets"
            assert after(text)["input_ids"] == before(text)["input_ids"]
            loader = AutoModelForImageTextToText if name == "internvl" else AutoModelForCausalLM
            larger, report = loader.from_pretrained(grown, dtype=model.dtype, output_loading_info=True)
            assert not report["missing_keys"] and not report["unexpected_keys"], report
            sample = torch.tensor([[9, 12, 40, 31, 8]])
            latent = torch.tensor([[9, 12, ids[2], 31, 8]])
            with torch.no_grad():
                old, new = model(sample).logits, larger.eval()(sample).logits
                fed = larger(latent).logits
            size = old.shape[-1]
            rows = larger.get_input_embeddings().weight.shape[0]
            assert rows == max(size, ids[-1] + 1) == new.shape[-1]
            kept = [i for i in range(size) if i not in ids]
            for layer, grown_layer in ((model.get_input_embeddings(), larger.get_input_embeddings()),
                                       (model.get_output_embeddings(), larger.get_output_embeddings())):
                assert torch.equal(layer.weight[kept], grown_layer.weight[kept])
                assert all(torch.equal(grown_layer.weight[i], layer.weight[40]) for i in ids)
            others = {k: v for k, v in model.state_dict().items() if "embed_tokens" not in k and "lm_head" not in k
                      and "wte" not in k}
            assert all(torch.equal(v, larger.state_dict()[k]) for k, v in others.items())
            worst = ((old[..., kept] - new[..., kept]).abs().max() / old.abs().max()).item()
            assert torch.allclose(new[..., ids], new[..., 40:41].expand(-1, -1, 3), atol=1e-3)
            assert torch.allclose(fed, new, atol=1e-3)
            print(f"{name}: {size} -> {rows} rows, ids {ids[0]}..{ids[2]}, old logits within {worst:.1e}")


if __name__ == "__main__":
    main()
