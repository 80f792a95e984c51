"""Makes the numeric parity fixtures of tests/fixtures/parity with the real transformers.

  python parity_make.py                               every geometry of parity_spec.json
  python parity_make.py --only text-tiny vlm-odd      some of them
  python parity_make.py --spec mine.json --output DIR your own descriptions (format: README.md)

For every geometry: an HF checkpoint folder (config.json and model.safetensors as save_pretrained writes them) and
cases/<case>.safetensors with inputs, every intermediate and greedy tokens. Not made here: images, tokenizers,
other checkpoint layouts (parity_layouts.py).
"""

import argparse
import copy
import json
import pathlib
import re
import shutil
import tempfile

import torch
from safetensors.torch import load_file

import parity_common as common

HERE = pathlib.Path(__file__).resolve().parent
ROUTER_GAP = 2e-5  # smallest accepted distance of neighbouring router logits in the top k+1, of the layer's scale
F32_ERROR = 5e-6  # largest accepted error of HF's own f32 against its f64 run, any tensor, of the tensor's scale
GREEDY_GAP = 1e-3  # smallest accepted distance of the two best logits of every greedy step, of the logits' scale


# ---------------------------------------------------------------- inputs of a case

def features_of(model, images):
    """{pixel_values, image_sizes of llava_next} -> features of each image, [tokens, hidden]."""
    features = model.get_image_features(**images, return_dict=True).pooler_output
    return list(features)


def tokens_per_tile(model, pixel_size):
    probe = torch.zeros(1, model.config.vision_config.num_channels, *pixel_size,
                        dtype=model.dtype)
    return features_of(model, {"pixel_values": probe})[0].shape[0]


def picture(model, size, random):
    """A picture of a size for llava_next: its views, and the tokens that they come to."""
    from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches
    config = model.config
    side = config.vision_config.image_size
    count = image_size_to_num_patches(size, config.image_grid_pinpoints, side)
    views = torch.randn(count, config.vision_config.num_channels, side, side, generator=random)
    images = {"pixel_values": views, "image_sizes": torch.tensor([size])}
    return views, features_of(model, images)[0].shape[0]


def build_inputs(model, case, seed):
    """rows such as "t5 i1 t7 i3": 5 random tokens, an image of 1 tile, 7 tokens, an image of 3 tiles; "p20x31" is a
    picture 20 high and 31 wide, for llava_next; "v4": 4 random tokens whose rows pass for an image's (third result:
    a mask of these, or None). Images of a model that has them before its text have no tokens."""
    config = model.config
    multimodal = common.is_multimodal(config)
    vocab = config.text_config.vocab_size if multimodal else config.vocab_size
    image_token = config.image_token_id if multimodal else -1
    random = torch.Generator().manual_seed(seed)
    prefixed = common.is_prefixed(config)
    size = case.get("pixel_size") or (config.vision_config.image_size if multimodal else
                                      config.vision_image_size if prefixed else None)
    size = [size, size] if isinstance(size, int) else size
    per_tile = 0 if prefixed or not any("i" in r for r in case["rows"]) else tokens_per_tile(model, size)
    rows, marks, tiles, views, sizes, pictures = [], [], 0, [], [], []
    for description in case["rows"]:
        row, mark = [], []
        pictures.append(description.count("p"))
        if prefixed:
            pictures[-1] = sum(int(part[1:]) for part in description.split() if part[0] == "i")
        for part in description.split():
            if part[0] == "p":
                sizes.append([int(n) for n in part[1:].split("x")])
                pixels, tokens = picture(model, sizes[-1], random)
                views.append(pixels)
                row += [image_token] * tokens
                continue
            count = int(part[1:])
            if part[0] == "i":
                row += [image_token] * (count * per_tile)
                tiles += count
            else:
                ids = torch.randint(0, vocab - (1 if multimodal else 0), (count,), generator=random)
                row += [int(i) + (1 if 0 <= image_token <= int(i) else 0) for i in ids]
                mark += [int(part[0] == "v")] * count
        rows.append(row)
        marks.append(mark)
    width = max(map(len, rows))
    pad = 1 if image_token == 0 else 0  # HF takes padding for placeholders when the ids coincide
    ids = torch.tensor([[pad] * (width - len(r)) + r for r in rows])
    mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows])
    inputs = {"input_ids": ids, "attention_mask": mask}
    if views:
        inputs["pixel_values"] = torch.cat(views)
        inputs["image_sizes"] = torch.tensor(sizes)
        inputs["pictures"] = torch.tensor(pictures)  # of each row
    if tiles:
        channels = config.vision_num_channels if prefixed else config.vision_config.num_channels
        inputs["pixel_values"] = torch.randn(tiles, channels, *size, generator=random)
    if tiles and prefixed:
        inputs["pictures"] = torch.tensor(pictures)
    modality = None
    if any("v" in description for description in case["rows"]):
        modality = torch.tensor([[0] * (width - len(m)) + m for m in marks])
    return inputs, per_tile, modality


def positions(mask):
    return (mask.cumsum(-1) - 1).masked_fill(mask == 0, 0)


# ---------------------------------------------------------------- one run

def run(model, inputs):
    """Every tensor of a case from one uncached forward."""
    common.forget_lengths(model)
    out, routed, handles = {}, [], []
    for module in model.modules():
        if type(module).__name__ in ("GptOssTopKRouter", "MixtralTopKRouter"):
            handles.append(module.register_forward_hook(lambda m, a, o: routed.append((o[0], o[2]))))
    feed = for_model(model, {k: v.to(model.dtype) if v.is_floating_point() else v for k, v in inputs.items()})
    if common.is_prefixed(model.config) and "pixel_values" in inputs:
        out["image_features"] = model.model.vision_adapter(inputs["pixel_values"].to(model.dtype)).flatten(0, 1)
    elif "pixel_values" in feed:
        images = {k: feed[k] for k in ("pixel_values", "image_sizes") if k in feed}
        out["image_features"] = torch.cat(features_of(model, images))
        vision = model.model.vision_tower(feed["pixel_values"], output_hidden_states=True)
        for layer, state in enumerate(vision.hidden_states):
            out[f"vision_hidden_states.{layer}"] = state
        out["vision_last_hidden_state"] = vision.last_hidden_state
    result = model(**feed, position_ids=positions(feed["attention_mask"]), use_cache=False,
                   output_hidden_states=True)
    for handle in handles:
        handle.remove()
    for layer, state in enumerate(result.hidden_states):
        out[f"hidden_states.{layer}"] = state
    for layer, (logits, indices) in enumerate(routed):
        out[f"router_logits.{layer}"], out[f"router_indices.{layer}"] = logits, indices
    out["logits"] = result.logits
    if common.is_prefixed(model.config):  # of the text alone, which is last
        out["logits"] = result.logits[:, -inputs["input_ids"].shape[1]:].contiguous()
    return out


def for_model(model, inputs):
    if common.is_prefixed(model.config):
        return model.fuse(**inputs)
    return {name: value for name, value in inputs.items() if name != "pictures"}


def rows_mask(model, inputs):
    """[B, L]: which rows of the decoder are not padding."""
    return for_model(model, inputs)["attention_mask"]


def greedy(model, inputs, count):
    common.forget_lengths(model)
    out = model.generate(**for_model(model, inputs), do_sample=False, max_new_tokens=count, pad_token_id=0,
                         return_dict_in_generate=True, output_logits=True)
    tokens = out.sequences[:, -count:]  # without the prompt, where that is given by ids
    gap = 1.0
    for logits in out.logits:
        best = logits.topk(2).values
        gap = min(gap, float(((best[:, 0] - best[:, 1]) / logits.abs().amax(-1)).min()))
    return tokens, gap


def greedy_uncached(model, inputs, count):
    inputs, length = dict(inputs), inputs["input_ids"].shape[1]
    for _ in range(count):
        feed = for_model(model, inputs)
        logits = model(**feed, position_ids=positions(feed["attention_mask"]), use_cache=False).logits
        token = logits[:, -1].argmax(-1, keepdim=True)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], token], -1)
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(token)], -1)
    return inputs["input_ids"][:, length:]


def router_gap(outputs, mask, top_k):
    real, gap = mask.flatten().bool(), 1.0
    for name, logits in outputs.items():
        if name.startswith("router_logits."):
            logits = logits[real].float()
            best = logits.topk(min(top_k + 1, logits.shape[-1])).values
            gap = min(gap, float((best[:, :-1] - best[:, 1:]).min() / logits.abs().max()))
    return gap


def nmse(value, truth, mask):
    value, truth = value.double()[mask.bool()], truth.double()[mask.bool()]
    return float((value - truth).square().sum() / truth.square().sum())


def max_rel(value, truth, mask):
    value, truth = value.double()[mask.bool()], truth.double()[mask.bool()]
    return float((value - truth).abs().max() / truth.abs().max())


# ---------------------------------------------------------------- geometry: models and checkpoint

class Models:
    """The same weights in every arithmetic that a case is measured with."""

    def all(self):
        return [self.f32, self.f64, self.bf16, self.f64_of_bf16, *self.others.values()]

    def set(self, settings):
        """Keys of config.json that need not be the checkpoint's."""
        for model in self.all():
            for key, value in settings.items():
                assert hasattr(model.config, key), key
                setattr(model.config, key, value)

    def __init__(self, config, values, storage="f32"):
        def build(dtype, source=values, **options):
            model = common.make_model(config, dtype, **options)
            common.fill(model, source)
            if storage != "f32" or source is not values:
                common.round_embedding_scale(model)
            return model

        rounded = {n: v.to(torch.bfloat16).float() for n, v in values.items()}
        self.f32 = build(torch.float32)
        self.f64 = build(torch.float64)
        self.bf16_experts, self.others = "none", {}
        if not common.has_experts(config):
            self.bf16 = build(torch.bfloat16)
            self.f64_of_bf16 = build(torch.float64, rounded)
            if self.f32._supports_sdpa:
                self.others = {"sdpa": build(torch.float32, attention="sdpa")}
            return
        # torch's grouped_mm wants rows of a multiple of 16 bytes: odd sizes leave HF with its eager experts.
        text = getattr(config, "text_config", config)
        sizes = (text.hidden_size, text.intermediate_size)
        self.bf16_experts = "eager" if any(size % 8 for size in sizes) else "grouped_mm"
        self.bf16 = build(torch.bfloat16, experts=self.bf16_experts)
        self.f64_of_bf16 = build(torch.float64, rounded)
        self.others = {"batched_mm": build(torch.float32, experts="batched_mm")}
        if not any(size % 4 for size in sizes):
            self.others["grouped_mm"] = build(torch.float32, experts="grouped_mm")
        if common.is_multimodal(config):
            other = build(torch.float32)
            other.model.vision_tower.set_attn_implementation("sdpa")
            self.others["vision_sdpa"] = other


def make_values(geometry, config):
    """{disk name: f32 tensor} after the rounding of the storage; MXFP4 parts beside it."""
    model = common.make_model(config)
    storage, seed = geometry.get("storage", "f32"), geometry.get("seed", 1)
    values, packed, rules = {}, {}, {}
    for name, tensor in common.disk_tensors(model).items():
        shape = list(tensor.shape)
        offset, amplitude = common.weight_rule(
            name, shape, geometry.get("gains"), geometry.get("rules", ()))
        rules[name] = {"shape": shape, "offset": offset, "amplitude": amplitude}
        value = common.generate(name, shape, seed, offset, amplitude)
        if storage == "mxfp4" and name.endswith(("gate_up_proj", "down_proj")):
            # Scales of neighbouring blocks differ by powers of two, and one block is all zero.
            blocks_in = value.shape[1] // 32
            spread = torch.exp2(torch.arange(blocks_in).remainder(3) - 1.0).repeat_interleave(32)
            value = value * spread.reshape(1, -1, 1)
            value[0, :32, 0] = 0
            packed[name] = common.mxfp4_pack(value)
            value = common.mxfp4_unpack(*packed[name])
        elif storage in ("bf16", "mxfp4"):
            value = value.to(torch.bfloat16).float()
        values[name] = value
    return values, packed, rules


MXFP4_CONFIG = {
    "modules_to_not_convert": [
        "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"],
    "quant_method": "mxfp4",
}


def write_checkpoint(folder, geometry, models, values, packed):
    storage = geometry.get("storage", "f32")
    model = copy.deepcopy(models.f32)
    if storage != "f32":
        common.cast(model, torch.bfloat16)
        model.config.dtype = torch.bfloat16
        if hasattr(model.config, "text_config"):
            model.config.text_config.dtype = model.config.vision_config.dtype = torch.bfloat16
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        temporary = pathlib.Path(temporary)
        saved = {common.vit_name(n): v for n, v in load_file(temporary / "model.safetensors").items()}
        assert set(saved) == set(values), set(saved) ^ set(values)
        for name, value in values.items():
            if name not in packed:
                assert torch.equal(saved[name].float(), value), name
        config = json.loads((temporary / "config.json").read_text())
        if packed:
            config["quantization_config"] = MXFP4_CONFIG
            for name, (blocks, scales) in packed.items():
                del saved[name]
                saved[name + "_blocks"], saved[name + "_scales"] = blocks, scales
            common.write_safetensors(folder / "model.safetensors", saved, {"format": "pt"})
            (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        else:
            shutil.copyfile(temporary / "config.json", folder / "config.json")
            if geometry.get("commit_weights", True):
                shutil.copyfile(temporary / "model.safetensors", folder / "model.safetensors")


def check_checkpoint(folder, models):
    """What from_pretrained reads back equals the weights that the cases were made with."""
    try:
        again = type(models.f32).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    except ImportError as error:  # MXFP4 needs the accelerate package
        print(f"{folder.name}: not read back: {error}")
        return
    here, there = models.f32.state_dict(), again.state_dict()
    for name in here:
        assert torch.equal(here[name].float(), there[name].float()), f"{folder.name}: {name} differs on reload"


def check_packing(packed):
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
    for name, (blocks, scales) in packed.items():
        theirs = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
        assert torch.equal(theirs, common.mxfp4_unpack(blocks, scales)), name
        theirs = convert_moe_packed_tensors(blocks, scales, dtype=torch.bfloat16)
        assert torch.equal(theirs.float(), common.mxfp4_unpack(blocks, scales)), name


# ---------------------------------------------------------------- cases

def make_case(geometry, case, models):
    config = models.f32.config
    top_k = getattr(getattr(config, "text_config", config), "num_experts_per_tok", 0)
    count = case.get("new_tokens", 8)
    settings = case.get("set", {})
    models.set(settings)
    for attempt in range(200):
        seed = case.get("seed", 1) + 1000 * attempt
        inputs, per_tile, modality = build_inputs(models.f32, case, seed)
        for model in models.all():
            model.vision_rows = modality
        outputs = run(models.f32, inputs)
        mask, rows = inputs["attention_mask"], rows_mask(models.f32, inputs)
        routed = router_gap(outputs, rows, top_k)
        if routed < ROUTER_GAP:
            continue
        tokens, gap = greedy(models.f32, inputs, count)
        if gap < GREEDY_GAP or (tokens == getattr(config, "image_token_id", -1)).any():
            continue
        with common.double_arithmetic():
            truth = run(models.f64, inputs)
        masks = {rows.shape: rows, mask.shape: mask}
        worst = {n: max_rel(v, truth[n], masks.get(v.shape[:2], torch.ones(v.shape[0])))
                 for n, v in outputs.items() if v.is_floating_point() and not n.startswith("router")}
        assert all(error == error for error in worst.values()), worst
        if max(worst.values()) < F32_ERROR:
            break
    else:
        raise SystemExit(f"{geometry['name']}/{case['name']}: no seed without near-ties")
    if not common.is_dynamic(config):  # there the cache keeps keys as they were turned at first
        assert torch.equal(tokens, greedy_uncached(models.f32, inputs, count)), "HF cached != uncached"

    with common.double_arithmetic():
        rounded_truth = run(models.f64_of_bf16, inputs)
    for name, value in truth.items():
        if name.startswith("router_indices"):
            real = rows.flatten().bool()
            assert torch.equal(value[real], outputs[name][real]), f"{name}: f32 and f64 choose differently"
    bf16 = run(models.bf16, inputs)
    flips = sum(
        int((bf16[n].sort(-1).values != rounded_truth[n].sort(-1).values)[rows.flatten().bool()].any(-1).sum())
        for n in bf16 if n.startswith("router_indices"))
    differences = {
        name: max_rel(run(model, inputs)["logits"], outputs["logits"], mask)
        for name, model in models.others.items()}

    tensors = {**inputs, **outputs, "position_ids": positions(mask), "greedy_tokens": tokens,
               "truth_logits_last": truth["logits"][:, -1]}
    if "vision_last_hidden_state" in tensors and getattr(config.vision_config, "use_mean_pooling", True):
        del tensors["vision_last_hidden_state"]  # no one reads it, or it equals the last of vision_hidden_states
    if modality is not None:
        tensors["modality"] = modality
    if common.is_prefixed(config):
        tensors["rows_mask"] = rows  # [B, images and text]
    metadata = {
        "geometry": geometry["name"], "case": case["name"], "exercises": case["exercises"],
        "rows": json.dumps(case["rows"]), "seed": str(seed), "tokens_per_tile": str(per_tile),
        "versions": json.dumps(common.versions(), sort_keys=True),
        "bf16_nmse_logits": repr(nmse(bf16["logits"], rounded_truth["logits"], mask)),
        "bf16_router_flips": str(flips), "bf16_experts": models.bf16_experts,
        "f32_vs_f64_max_rel": repr(worst["logits"]),
        "f32_vs_f64_max_rel_any_tensor": repr(max(worst.values())),
        "hf_impl_diff_max_rel": repr(max(differences.values(), default=0.0)),
        "hf_impl_diff": json.dumps(differences, sort_keys=True),
        "router_min_gap_rel": repr(routed), "greedy_min_gap_rel": repr(gap),
    }
    if settings:
        metadata["set"] = json.dumps(settings, sort_keys=True)
    return tensors, metadata


def make_geometry(geometry, output, only_cases=None):
    folder = output / geometry["name"]
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    config = common.make_config(geometry)
    values, packed, rules = make_values(geometry, config)
    check_packing(packed)
    models = Models(config, values, geometry.get("storage", "f32"))
    if "parameters_without_lm_head" in geometry:
        count = sum(v.numel() for v in values.values()) - models.f32.lm_head.weight.numel()
        assert count == geometry["parameters_without_lm_head"], count
    if not only_cases:
        write_checkpoint(folder, geometry, models, values, packed)
        if geometry.get("commit_weights", True):
            check_checkpoint(folder, models)
        else:
            about = {"generator": "value = offset + amplitude * u, see tests/reference/parity_common.py",
                     "seed": geometry.get("seed", 1), "tensors": rules,
                     "first_values": {n: values[n].flatten()[:3].tolist() for n in sorted(values)[:4]}}
            text = re.sub(r"\[[^\]]*\]|\{ *\n {3}[^{}]*\}", lambda m: re.sub(r"\s+", " ", m[0]), json.dumps(about, indent=1))
            (folder / "weights.json").write_text(text + "\n")
    for case in geometry["cases"]:
        if only_cases and case["name"] not in only_cases:
            continue
        tensors, metadata = make_case(geometry, case, models)
        common.write_safetensors(folder / "cases" / f"{case['name']}.safetensors", tensors, metadata)
        print(f"{geometry['name']:28} {case['name']:26} {str(list(tensors['input_ids'].shape)):10}"
              f" f32/f64 {float(metadata['f32_vs_f64_max_rel']):.1e}"
              f" (any {float(metadata['f32_vs_f64_max_rel_any_tensor']):.1e})"
              f" impl {float(metadata['hf_impl_diff_max_rel']):.1e}"
              f" bf16 nmse {float(metadata['bf16_nmse_logits']):.1e} flips {metadata['bf16_router_flips']}"
              f" gaps {float(metadata['router_min_gap_rel']):.1e} {float(metadata['greedy_min_gap_rel']):.1e}"
              f" seed {metadata['seed']}", flush=True)


def write_table(spec, output):
    """CASES.md, from the case files themselves."""
    from safetensors import safe_open
    lines = [
        "# Parity cases", "",
        "Made by `tests/reference/parity_make.py` and `parity_layouts.py`; versions are in every file's metadata.",
        "f32/f64: HF's own f32 logits against its f64 run; impl: between HF's f32 implementations (experts eager,",
        "grouped_mm, batched_mm; vision eager, sdpa); bf16: NMSE of HF's own bf16 run. Errors are relative to the",
        "tensor's largest value.", "",
        "| geometry | case | exercises | [B, T] | f32/f64 | impl | bf16 |", "|---|---|---|---|---|---|---|"]
    total = 0
    for geometry in spec["geometries"]:
        for case in geometry["cases"]:
            path = output / geometry["name"] / "cases" / f"{case['name']}.safetensors"
            if not path.exists():
                continue
            total += 1
            with safe_open(path, "pt") as file:
                m, shape = file.metadata(), file.get_slice("input_ids").get_shape()
            lines.append(
                f"| {geometry['name']} | {case['name']} | {m['exercises']} | {shape[0]}, {shape[1]} |"
                f" {float(m['f32_vs_f64_max_rel']):.1e} | {float(m.get('hf_impl_diff_max_rel', 0)):.1e} |"
                f" {float(m['bf16_nmse_logits']):.1e} |")
    lines += ["", f"{total} cases, {len(spec['geometries'])} geometries:", ""]
    lines += [f"- `{g['name']}`: {g['about']}" for g in spec["geometries"]]
    lines += ["", "Other layouts of the same weights (config.json and weights only, compare with the cases of the geometry):", ""]
    lines += [f"- `{layout['name']}`: {layout['about']}" for layout in spec.get("layouts", [])]
    (output / "CASES.md").write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=pathlib.Path, default=HERE / "parity_spec.json")
    parser.add_argument("--output", type=pathlib.Path, default=HERE.parent / "fixtures" / "parity")
    parser.add_argument("--only", nargs="*", help="geometry names")
    parser.add_argument("--cases", nargs="*", help="case names (leaves the checkpoint alone)")
    parser.add_argument("--table", action="store_true", help="only write CASES.md")
    arguments = parser.parse_args()
    spec = json.loads(arguments.spec.read_text())
    for geometry in spec["geometries"]:
        if "script" in geometry:  # has a reference of its own
            continue
        if not arguments.table and (not arguments.only or geometry["name"] in arguments.only):
            make_geometry(geometry, arguments.output, arguments.cases)
    write_table(spec, arguments.output)


if __name__ == "__main__":
    main()
