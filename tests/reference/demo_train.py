"""Trains the demo checkpoint: a tiny InternVLForConditionalGeneration with a gpt_oss text config.

Stages, as vision-language models are trained: `look` and `sharpen` (vision tower and projector learn to say, for each
visual token, which digit is centred there, by a head that is thrown away), `read` (the language model learns to answer, one
digit first, then up to five, the tower frozen) and `together` (everything). AdamW in f32, fixed seeds, CPU or CUDA.
What is reached is kept in --output and a later run goes on from there; loss and held-out accuracy are
printed, and the script chooses nothing by them.
"""

import argparse
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from transformers import GptOssConfig, InternVLConfig, InternVLForConditionalGeneration, InternVLVisionConfig

import demo_data as data

STAGES = {  # steps, scenes a step, questions a scene, learning rate
    "look": (1800, 40, 0, 2e-3),
    "sharpen": (2600, 40, 0, 2e-3),
    "read": (1200, 24, 5, 2e-3),
    "together": (400, 24, 5, 6e-4),
}


def make_config(tokenizer):
    ids = {t: tokenizer.token_to_id(t) for t in data.SPECIAL}
    special = dict(bos_token_id=ids["<|startoftext|>"], eos_token_id=ids["<|return|>"],
                   pad_token_id=ids["<|endoftext|>"])
    text = GptOssConfig(
        vocab_size=data.VOCAB_SIZE, hidden_size=128, intermediate_size=64, num_hidden_layers=4, head_dim=32,
        num_attention_heads=4, num_key_value_heads=2, num_local_experts=8, num_experts_per_tok=2, sliding_window=32,
        max_position_embeddings=512, tie_word_embeddings=False, router_aux_loss_coef=0.01,
        rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=8.0, beta_fast=32.0, beta_slow=1.0,
                             truncate=False, original_max_position_embeddings=64), **special)
    vision = InternVLVisionConfig(
        hidden_size=96, intermediate_size=256, num_hidden_layers=4, num_attention_heads=3, attention_bias=True,
        image_size=[data.TILE, data.TILE], patch_size=[data.PATCH, data.PATCH], norm_type="layer_norm",
        layer_scale_init_value=1.0)
    return InternVLConfig(vision_config=vision, text_config=text, image_token_id=ids["<IMG_CONTEXT>"],
                          image_seq_length=data.TOKENS_PER_TILE, downsample_ratio=0.5, tie_word_embeddings=False,
                          **special)


def initialise(model):
    """Normal weights of deviation 1/sqrt(inputs), halved where a block ends; HF's 0.02 suits wide models only."""
    for name, p in model.named_parameters():
        if "embed_tokens" in name or "position_embeddings" in name or "cls_token" in name:
            torch.nn.init.normal_(p, std=0.1)
        elif "experts.gate_up_proj" in name and p.dim() == 3 or "experts.down_proj" in name and p.dim() == 3:
            torch.nn.init.normal_(p, std=(0.5 if "down" in name else 1) / math.sqrt(p.shape[1]))
        elif p.dim() >= 2 and "bias" not in name:
            ends = any(s in name for s in ("o_proj", "projection_layer", "fc2", "lm_head"))
            torch.nn.init.normal_(p, std=(0.5 if ends else 1) / math.sqrt(p[0].numel()))


class Reader(torch.nn.Module):
    """The model with the extra head of stage `look` and a forward that shares a picture among its questions."""

    def __init__(self, config):
        super().__init__()
        self.model = InternVLForConditionalGeneration._from_config(config, attn_implementation="eager")
        self.model.set_attn_implementation({"vision_config": "sdpa", "text_config": "eager"})
        initialise(self.model)
        self.head = torch.nn.Linear(config.text_config.hidden_size, 11)
        self.image_token = config.image_token_id
        self.window = config.text_config.sliding_window
        self.router_logits = []
        for layer in self.model.model.language_model.layers:
            layer.mlp.router.register_forward_hook(lambda m, i, o: self.router_logits.append(o[0]))

    def look(self, pixels, frozen=False):  # [N, 3, TILE, TILE] -> [N, TOKENS_PER_TILE, hidden]
        parts = self.model.model
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            h = parts.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
            g = math.isqrt(h.shape[1])
            h = parts.pixel_shuffle(h.reshape(len(h), g, g, -1), scale_factor=0.5)
        return parts.multi_modal_projector(h.reshape(len(h), -1, h.shape[-1]))

    def read(self, features, batch):  # -> [B, T, hidden]
        parts = self.model.model
        embeds = parts.language_model.embed_tokens(batch["ids"])
        embeds = embeds.masked_scatter((batch["ids"] == self.image_token).unsqueeze(-1), features)
        place, branch = batch["place"], batch["branch"]
        seen = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
        seen &= place[:, None, :] <= place[:, :, None]
        near = seen & (place[:, None, :] > place[:, :, None] - self.window)
        masks = {name: torch.where(m, 0.0, torch.finfo(torch.float32).min)[:, None]
                 for name, m in (("full_attention", seen), ("sliding_attention", near))}
        self.router_logits.clear()
        return parts.language_model(inputs_embeds=embeds, position_ids=place, attention_mask=masks,
                                    use_cache=False).last_hidden_state

    def balance_loss(self):
        logits = torch.cat(self.router_logits)
        config = self.model.config.text_config
        chosen = F.one_hot(logits.topk(config.num_experts_per_tok).indices, config.num_local_experts).float()
        return config.num_local_experts * (chosen.mean(0).sum(0) * logits.softmax(-1).mean(0)).sum()


def normalised(tiles, device):
    pixels = torch.tensor(tiles, device=device).permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(data.MEAN, device=device)[:, None, None]) / torch.tensor(
        data.STD, device=device)[:, None, None]


def make_batch(rng, glyphs, tokenizer, scenes, questions, counts, wild, device):
    """One row a scene: system text and picture once, then its questions with their answers as branches.

    A branch sees the picture and itself, at the positions it would have alone, so a row costs little more than one
    question and means the same as so many separate ones.
    """
    tiles, labels, rows = [], [], []
    for _ in range(scenes):
        pixels, digits, centres, grid = data.draw(rng, glyphs, counts, wild)
        tiles.append(data.tiles_of(pixels))
        labels.append(data.token_labels(digits, centres, grid))
        row = []
        for kind in list(data.QUESTIONS)[:questions]:
            _, question, reply = data.ask(rng, digits, [kind])
            prompt = tokenizer.encode(data.prompt_text(question, len(tiles[-1]))).ids
            shared = prompt.index(tokenizer.token_to_id("</img>")) + 2
            reply = tokenizer.encode(data.reply_text(reply)).ids
            if not row:
                row = [(t, i, 0, -100) for i, t in enumerate(prompt[:shared])]
            ids = prompt[shared:] + reply
            goal = [-100] * (len(prompt) - shared - 1) + reply + [-100]
            branch = list(data.QUESTIONS).index(kind) + 1
            row += [(t, shared + i, branch, g) for i, (t, g) in enumerate(zip(ids, goal))]
        rows.append(row)
    tiles, labels = np.concatenate(tiles), np.concatenate(labels)
    if not questions:  # tiles without a digit teach little
        keep = ((labels >= 0) & (labels < 10)).any(1) | ((labels[:, 0] >= 0) & (rng.random(len(labels)) < 0.2))
        tiles, labels = tiles[keep], labels[keep]
    batch = {"pixels": normalised(tiles, device), "labels": torch.from_numpy(labels).to(device)}
    if questions:
        pad = (tokenizer.token_to_id("<|endoftext|>"), 0, -1, -100)
        longest = max(map(len, rows))
        table = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=device)
        batch.update(zip(("ids", "place", "branch", "goal"), table.unbind(-1)))
    return batch


def losses(reader, batch, stage):
    features = reader.look(batch["pixels"], frozen=stage == "read")
    look = F.cross_entropy(reader.head(features).flatten(0, 1), batch["labels"].flatten(), ignore_index=-100)
    if "ids" not in batch:
        return look, {"look": look.item()}
    hidden = reader.read(features, batch)
    goal = batch["goal"]
    logits = reader.model.lm_head(hidden[goal != -100])
    read = F.cross_entropy(logits, goal[goal != -100])
    balance = reader.balance_loss()
    total = read + 0.2 * look + reader.model.config.text_config.router_aux_loss_coef * balance
    return total, {"look": look.item(), "read": read.item(), "balance": balance.item()}


@torch.no_grad()
def check(reader, batch, stage):
    """Accuracy on held-out digits with the right answer so far as context: tokens of digits, and whole answers."""
    features = reader.look(batch["pixels"])
    known = batch["labels"] != -100
    digit = known & (batch["labels"] != 10)
    guess = reader.head(features).argmax(-1)
    text = f"digit tokens {(guess == batch['labels'])[digit].float().mean():.3f}"
    if stage in ("read", "together"):
        logits = reader.model.lm_head(reader.read(features, batch))
        wrong = (logits.argmax(-1) != batch["goal"]) & (batch["goal"] != -100)
        for i, kind in enumerate(data.QUESTIONS):
            text += f", {kind} {1 - (wrong & (batch['branch'] == i + 1)).any(1).float().mean():.3f}"
    return text


def counts_at(stage, progress):
    """The curriculum: one digit, then more."""
    if stage == "read":
        return list(range(1, 2 + min(4, int(progress / 0.08))))
    return [1, 2, 3, 4, 5]


def train(reader, stage, plan, args, glyphs, heldout, tokenizer):
    steps, scenes, questions, rate = plan
    device = next(reader.parameters()).device
    reader.requires_grad_(True)
    reader.model.model.vision_tower.requires_grad_(stage != "read")
    decay = [p for p in reader.parameters() if p.requires_grad and p.dim() >= 2]
    plain = [p for p in reader.parameters() if p.requires_grad and p.dim() < 2]
    adam = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
                             lr=rate, betas=(0.9, 0.98))
    seed = args.seed + 1000 * list(STAGES).index(stage)
    rng = np.random.default_rng(seed)
    exam = make_batch(np.random.default_rng(5), heldout, tokenizer, 150, 5, [1, 2, 3, 4, 5], 0.6, device)
    first, partial = 0, args.output / f"{stage}.partial.pt"
    if partial.exists():
        saved = torch.load(partial, map_location=device, weights_only=False)
        reader.load_state_dict(saved["reader"])
        adam.load_state_dict(saved["adam"])
        rng.bit_generator.state, first = saved["rng"], saved["step"]
    began = time.time()
    for step in range(first, steps):
        progress = step / steps
        for group in adam.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        batch = make_batch(rng, glyphs, tokenizer, scenes, questions, counts_at(stage, progress), 1.0, device)
        total, parts = losses(reader, batch, stage)
        adam.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(decay + plain, 1.0)
        adam.step()
        if step % args.log_every == 0 or step + 1 == steps:
            loss = ", ".join(f"{k} {v:.4f}" for k, v in parts.items())
            print(f"{stage} {step + 1}/{steps} {(time.time() - began) / (step + 1 - first):.3f} s/step: {loss}; "
                  f"{check(reader, exam, stage)}", flush=True)
            torch.save({"reader": reader.state_dict(), "adam": adam.state_dict(), "rng": rng.bit_generator.state,
                        "step": step + 1}, partial)
    partial.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "demo_run")
    parser.add_argument("--steps", default=",".join(str(s[0]) for s in STAGES.values()), help="steps of each stage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log-every", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    glyphs, heldout = data.load_glyphs()
    tokenizer = data.make_tokenizer()
    reader = Reader(make_config(tokenizer)).to(device)
    print(f"{sum(p.numel() for p in reader.model.parameters()):,} parameters on {device}", flush=True)
    args.output.mkdir(parents=True, exist_ok=True)
    todo = list(zip(STAGES.items(), args.steps.split(",")))
    done = [i for i, ((stage, _), _) in enumerate(todo) if (args.output / f"{stage}.pt").exists()]
    if done:
        reader.load_state_dict(torch.load(args.output / f"{todo[done[-1]][0][0]}.pt", map_location=device))
    for (stage, plan), steps in todo[done[-1] + 1 if done else 0:]:
        train(reader, stage, (int(steps), *plan[1:]), args, glyphs, heldout, tokenizer)
        torch.save(reader.state_dict(), args.output / f"{stage}.pt")


if __name__ == "__main__":
    main()
