"""Writes parity checkpoints again in other spellings: the "layouts" of parity_spec.json.

  hf-new    names of the 5.x state dict (model.language_model.*, lm_head.weight)
  memory    the whole state dict of the 5.x classes (Mixtral: the experts of a layer in one tensor)
  hf-old    the names of save_pretrained, config.json as transformers 4.5x wrote it
  internvl  OpenGVLab's own names and config (vision_model.*, fused attn.qkv, mlp1.*, llm_config)
  openai    the names and config of openai's original/ folder (block.N.*, fused qkv); MXFP4 text models only
  sharded   model.safetensors.index.json and three shards, as save_pretrained writes them

Every folder holds a config.json and weights; the cases are those of the base geometry.
"""

import argparse
import json
import pathlib
import re
import shutil

import torch
import transformers
from safetensors.torch import load_file

import parity_common as common

HERE = pathlib.Path(__file__).resolve().parent


def read(folder):
    return json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")


def write(folder, config, tensors):
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    common.write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})


def rename(name, rules):
    for pattern, replacement in rules:
        new, count = re.subn(pattern, replacement, name)
        if count:
            return new
    raise ValueError(f"no rule for {name}")


# ---------------------------------------------------------------- Hugging Face

def hf_new(base, folder):
    config, tensors = read(base)
    rules = [(r"^language_model\.lm_head\.", "lm_head."),
             (r"^language_model\.model\.", "model.language_model."),
             (r"^(vision_tower|multi_modal_projector)\.", r"model.\1.")]
    write(folder, config, {rename(n, rules): t for n, t in tensors.items()})


def memory(base, folder):
    config = read(base)[0]
    model = getattr(transformers, config["architectures"][0]).from_pretrained(base, dtype=config["dtype"])
    tied = model.all_tied_weights_keys
    write(folder, config, {n: t for n, t in model.state_dict().items() if n not in tied})


def old_text_config(text):
    """The 4.5x spelling of a gpt_oss config: rope_scaling and rope_theta; extras as openai published them."""
    text = dict(text)
    rope = text.pop("rope_parameters")
    text["rope_theta"] = rope.pop("rope_theta")
    text["rope_scaling"] = rope
    for key in ("swiglu_alpha", "dtype"):
        text.pop(key, None)
    text["experts_per_token"] = text["num_experts_per_tok"]
    text["initial_context_length"] = rope["original_max_position_embeddings"]
    text["router_aux_loss_coef"] = 0.9
    return text


def hf_old(base, folder):
    config, tensors = read(base)
    config["text_config"] = old_text_config(config["text_config"])
    config["text_config"]["torch_dtype"] = config["torch_dtype"] = config.pop("dtype")
    config["vision_config"].pop("dtype", None)
    config["vision_config"]["torch_dtype"] = config["torch_dtype"]
    config["transformers_version"] = "4.55.0"
    write(folder, config, tensors)


# ---------------------------------------------------------------- OpenGVLab

INTERNVL_RULES = [
    (r"^vision_tower\.embeddings\.cls_token$", "vision_model.embeddings.class_embedding"),
    (r"^vision_tower\.embeddings\.position_embeddings$", "vision_model.embeddings.position_embedding"),
    (r"^vision_tower\.embeddings\.patch_embeddings\.projection\.", "vision_model.embeddings.patch_embedding."),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.lambda_(\d)$", r"vision_model.encoder.layers.\1.ls\2"),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.layernorm_before\.", r"vision_model.encoder.layers.\1.norm1."),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.layernorm_after\.", r"vision_model.encoder.layers.\1.norm2."),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.attention\.projection_layer\.",
     r"vision_model.encoder.layers.\1.attn.proj."),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.attention\.([qk])_norm\.",
     r"vision_model.encoder.layers.\1.attn.\2_norm."),
    (r"^vision_tower\.encoder\.layer\.(\d+)\.mlp\.", r"vision_model.encoder.layers.\1.mlp."),
    (r"^multi_modal_projector\.layer_norm\.", "mlp1.0."),
    (r"^multi_modal_projector\.linear_1\.", "mlp1.1."),
    (r"^multi_modal_projector\.linear_2\.", "mlp1.3."),
    (r"^language_model\.", "language_model."),
]


def internvl(base, folder):
    config, tensors = read(base)
    out, fused = {}, {}
    for name, tensor in tensors.items():
        match = re.match(r"^vision_tower\.encoder\.layer\.(\d+)\.attention\.([qkv])_proj\.(weight|bias)$", name)
        if match:
            fused.setdefault((match[1], match[3]), {})[match[2]] = tensor
        else:
            out[rename(name, INTERNVL_RULES)] = tensor
    for (layer, kind), parts in fused.items():
        out[f"vision_model.encoder.layers.{layer}.attn.qkv.{kind}"] = torch.cat([parts[p] for p in "qkv"])
    vision, text, top = config["vision_config"], config["text_config"], config
    assert vision["use_mean_pooling"] and vision["use_absolute_position_embeddings"]
    assert top["vision_feature_select_strategy"] == "default" and top["projector_hidden_act"] == "gelu"
    dtype = top["dtype"]
    image_size = vision["image_size"][0]
    llm = old_text_config(text)
    llm.update(architectures=["GptOssForCausalLM"], torch_dtype=dtype)
    write(folder, {
        "architectures": ["InternVLChatModel"],
        "auto_map": {
            "AutoConfig": "configuration_internvl_chat.InternVLChatConfig",
            "AutoModel": "modeling_internvl_chat.InternVLChatModel",
            "AutoModelForCausalLM": "modeling_internvl_chat.InternVLChatModel"},
        "downsample_ratio": top["downsample_ratio"], "dynamic_image_size": True,
        "force_image_size": image_size, "llm_config": llm, "max_dynamic_patch": 12, "min_dynamic_patch": 1,
        "model_type": "internvl_chat", "pad2square": False, "ps_version": "v2",
        "select_layer": top["vision_feature_layer"], "template": "internvl2_5_gpt_oss",
        "tie_word_embeddings": False, "torch_dtype": dtype, "transformers_version": None,
        "use_backbone_lora": 0, "use_llm_lora": 0, "use_thumbnail": True,
        "vision_config": {
            "architectures": ["InternVisionModel"], "attention_dropout": 0.0, "drop_path_rate": 0.0,
            "dropout": 0.0, "hidden_act": vision["hidden_act"], "hidden_size": vision["hidden_size"],
            "image_size": image_size, "initializer_factor": 1.0, "initializer_range": 0.02,
            "intermediate_size": vision["intermediate_size"], "layer_norm_eps": vision["layer_norm_eps"],
            "model_type": "intern_vit_6b", "norm_type": vision["norm_type"],
            "num_attention_heads": vision["num_attention_heads"], "num_channels": vision["num_channels"],
            "num_hidden_layers": vision["num_hidden_layers"], "patch_size": vision["patch_size"][0],
            "qk_normalization": vision["use_qk_norm"], "qkv_bias": vision["attention_bias"],
            "torch_dtype": dtype, "use_flash_attn": True},
    }, out)


# ---------------------------------------------------------------- openai

OPENAI_RULES = [
    (r"^model\.embed_tokens\.", "embedding."), (r"^lm_head\.", "unembedding."),
    (r"^model\.norm\.weight$", "norm.scale"),
    (r"^model\.layers\.(\d+)\.input_layernorm\.weight$", r"block.\1.attn.norm.scale"),
    (r"^model\.layers\.(\d+)\.post_attention_layernorm\.weight$", r"block.\1.mlp.norm.scale"),
    (r"^model\.layers\.(\d+)\.self_attn\.sinks$", r"block.\1.attn.sinks"),
    (r"^model\.layers\.(\d+)\.self_attn\.o_proj\.", r"block.\1.attn.out."),
    (r"^model\.layers\.(\d+)\.mlp\.router\.", r"block.\1.mlp.gate."),
    (r"^model\.layers\.(\d+)\.mlp\.experts\.gate_up_proj_bias$", r"block.\1.mlp.mlp1_bias"),
    (r"^model\.layers\.(\d+)\.mlp\.experts\.down_proj_bias$", r"block.\1.mlp.mlp2_bias"),
    (r"^model\.layers\.(\d+)\.mlp\.experts\.gate_up_proj_(blocks|scales)$", r"block.\1.mlp.mlp1_weight.\2"),
    (r"^model\.layers\.(\d+)\.mlp\.experts\.down_proj_(blocks|scales)$", r"block.\1.mlp.mlp2_weight.\2"),
]


def openai(base, folder):
    config, tensors = read(base)
    rope = config["rope_parameters"]
    assert rope["rope_type"] == "yarn" and rope["truncate"] is False and config["rms_norm_eps"] == 1e-5
    expected = ["full_attention" if i % 2 else "sliding_attention" for i in range(config["num_hidden_layers"])]
    assert config["layer_types"] == expected
    out, fused = {}, {}
    for name, tensor in tensors.items():
        match = re.match(r"^model\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)$", name)
        if match:
            fused.setdefault((match[1], match[3]), {})[match[2]] = tensor
        else:
            out[rename(name, OPENAI_RULES)] = tensor
    for (layer, kind), parts in fused.items():
        out[f"block.{layer}.attn.qkv.{kind}"] = torch.cat([parts[p] for p in "qkv"])
    same = ("num_hidden_layers", "vocab_size", "hidden_size", "intermediate_size", "head_dim",
            "num_attention_heads", "num_key_value_heads", "sliding_window", "swiglu_limit")
    write(folder, {
        **{key: config[key] for key in same},
        "num_experts": config["num_local_experts"], "experts_per_token": config["num_experts_per_tok"],
        "initial_context_length": rope["original_max_position_embeddings"], "rope_theta": rope["rope_theta"],
        "rope_scaling_factor": rope["factor"], "rope_ntk_alpha": rope["beta_slow"],
        "rope_ntk_beta": rope["beta_fast"],
    }, out)


# ---------------------------------------------------------------- shards

def sharded(base, folder):
    config, tensors = read(base)
    kind = getattr(transformers, config["architectures"][0])
    model = kind.from_pretrained(base, dtype=config["dtype"])
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    for share in range(30, 60):  # the smallest limit that gives three shards
        shutil.rmtree(folder)
        model.save_pretrained(folder, max_shard_size=int(total * share / 100))
        (folder / "generation_config.json").unlink(missing_ok=True)
        if len(list(folder.glob("*.safetensors"))) == 3:
            break
    for path in folder.iterdir():
        path.chmod(0o644)
    again = {}
    for path in folder.glob("*.safetensors"):
        again.update(load_file(path))
    assert set(again) == set(tensors) and all(torch.equal(again[n], tensors[n]) for n in tensors)


def check(base, folder):
    """Read back through transformers, where it knows the spelling."""
    config = json.loads((base / "config.json").read_text())
    kind = getattr(transformers, config["architectures"][0])
    here, there = (kind.from_pretrained(f, dtype=torch.float32) for f in (base, folder))
    for name, tensor in here.state_dict().items():
        assert torch.equal(tensor, there.state_dict()[name]), name
    ids = torch.arange(6).reshape(1, 6)
    assert torch.equal(here(ids).logits, there(ids).logits), "the config reads differently"


LAYOUTS = {"hf-new": hf_new, "memory": memory, "hf-old": hf_old, "internvl": internvl, "openai": openai, "sharded": sharded}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=pathlib.Path, default=HERE / "parity_spec.json")
    parser.add_argument("--output", type=pathlib.Path, default=HERE.parent / "fixtures" / "parity")
    parser.add_argument("--only", nargs="*", help="names of layouts")
    arguments = parser.parse_args()
    for layout in json.loads(arguments.spec.read_text()).get("layouts", []):
        if arguments.only and layout["name"] not in arguments.only:
            continue
        base, folder = arguments.output / layout["base"], arguments.output / layout["name"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        LAYOUTS[layout["layout"]](base, folder)
        if layout["layout"] in ("hf-new", "memory", "hf-old", "sharded"):
            check(base, folder)
        print(f"{layout['name']}: {sorted(p.name for p in folder.iterdir())}")


if __name__ == "__main__":
    main()
