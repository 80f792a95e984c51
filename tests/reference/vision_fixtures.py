"""Makes tests/fixtures/vision: the vision towers of transformers on tiny random weights. Run with torch 2.13.0,
transformers 5.23.0, safetensors, numpy:

    python tests/reference/vision_fixtures.py [--output tests/fixtures/vision] [--only clip-quick]

One folder per geometry: config.json; weights.json, names and shapes as save_pretrained writes them and what the
generator of parity_common.py takes (the model that is run has been loaded from such a file); a file per case with

    hidden_states.<l>   F32 [images, tokens, hidden], as output_hidden_states=True gives them
    last_hidden_state   F32, after the class's final norm, where it has one
    pooler_output       F32 [images, hidden], CLIP alone
    truth               F64, the last hidden state of the class in double

and, as metadata, versions, sizes, and the distance between the f32 and the f64 run (below 5e-6 of the largest
value, asserted). Pixels are the generator's too: name "<case>.pixel_values", offset 0, amplitude 2. Other sizes than
the tower's own are run with interpolate_pos_encoding where the class has that option. conv_patch, which is no class
of transformers, is torch's Conv2d.
"""

import argparse
import json
import pathlib
import tempfile

import torch
import transformers
from safetensors import safe_open
from transformers import (
    CLIPVisionConfig, CLIPVisionModel, Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel, SiglipVisionConfig, SiglipVisionModel, ViTConfig, ViTModel,
)  # fmt: skip

from parity_common import double_arithmetic, generate, power_of_two, versions, write_safetensors

SEED = 1
AMPLITUDE = 2.0

# name: class, config, cases {name: (images, height, width)}
GEOMETRIES = {
    "clip-quick": (CLIPVisionModel, dict(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8,
    ), {"native": (1, 32, 32), "several": (2, 32, 32), "larger": (1, 40, 40), "smaller": (1, 16, 16), "oblong": (1, 24, 40)}),
    "clip-gelu": (CLIPVisionModel, dict(
        hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=3, image_size=15, patch_size=5,
        num_channels=1, hidden_act="gelu", layer_norm_eps=1e-3,
    ), {"native": (2, 15, 15), "ragged": (1, 23, 19)}),
    "siglip": (SiglipVisionModel, dict(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8,
        vision_use_head=False,
    ), {"native": (1, 32, 32), "several": (2, 32, 32), "larger": (1, 40, 40), "smaller": (1, 16, 16), "oblong": (1, 24, 40)}),
    "siglip-ragged": (SiglipVisionModel, dict(
        hidden_size=24, intermediate_size=44, num_hidden_layers=3, num_attention_heads=3, image_size=17, patch_size=5,
        num_channels=1, hidden_act="gelu", layer_norm_eps=1e-3, vision_use_head=False,
    ), {"native": (2, 17, 17), "ragged": (1, 23, 19)}),
    "dinov2-mlp": (Dinov2Model, dict(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=40, patch_size=8,
    ), {"native": (1, 40, 40), "smaller": (2, 24, 24), "larger": (1, 48, 48), "oblong": (1, 24, 40)}),
    "dinov2-swiglu": (Dinov2Model, dict(
        hidden_size=20, num_hidden_layers=2, num_attention_heads=5, image_size=[20, 20], patch_size=[5, 5],
        use_swiglu_ffn=True, qkv_bias=False, use_mask_token=False, layer_norm_eps=1e-3,
    ), {"native": (1, 20, 20), "ragged": (2, 17, 32)}),
    "dinov2-registers": (Dinov2WithRegistersModel, dict(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=40, patch_size=8,
    ), {"native": (1, 40, 40), "smaller": (1, 24, 24), "tiny": (1, 8, 16), "larger": (1, 48, 48), "oblong": (2, 24, 48)}),
    "dinov2-registers-swiglu": (Dinov2WithRegistersModel, dict(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, image_size=[25, 25],
        patch_size=[5, 5], use_swiglu_ffn=True, num_register_tokens=1, num_channels=1,
    ), {"native": (2, 25, 25), "smaller": (1, 10, 10)}),
    "vit": (ViTModel, dict(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8,
        layer_norm_eps=1e-6,
    ), {"native": (1, 32, 32), "several": (2, 32, 32), "larger": (1, 40, 40), "oblong": (1, 24, 40)}),
    "vit-oblong": (ViTModel, dict(
        hidden_size=18, intermediate_size=28, num_hidden_layers=3, num_attention_heads=3, image_size=[10, 40],
        patch_size=5, num_channels=2, qkv_bias=False, hidden_act="gelu_pytorch_tanh",
    ), {"native": (1, 10, 40), "square": (1, 20, 20), "other": (2, 15, 25)}),
    "conv-patch": (None, dict(
        hidden_size=16, num_channels=3, image_size=[24, 24], patch_size=[8, 4],
    ), {"native": (1, 24, 24), "several": (2, 24, 24), "oblong": (1, 16, 40), "ragged": (1, 31, 27)}),
}  # fmt: skip

CONFIGS = {
    CLIPVisionModel: CLIPVisionConfig, Dinov2Model: Dinov2Config,
    Dinov2WithRegistersModel: Dinov2WithRegistersConfig, SiglipVisionModel: SiglipVisionConfig, ViTModel: ViTConfig,
}  # fmt: skip


def rule(name, shape):
    """Offset and amplitude: norms about 1, layer scales in [0, 1), products of variance one."""
    last = name.split(".")[-1]
    if last == "lambda1":
        return 0.5, 0.5
    if "norm" in name or "layrnorm" in name:
        return (1.0, 0.5) if last == "weight" else (0.0, 0.25)
    if len(shape) in (2, 4) and last == "weight" and "position" not in name:
        fan_in = 1
        for extent in shape[1:]:
            fan_in *= extent
        gain = 1.5 if any(part in name for part in ("query", "key", "q_proj", "k_proj")) else 1.0
        return 0.0, power_of_two(gain * (3.0 / fan_in) ** 0.5)
    return 0.0, 0.25 if last == "bias" else 0.5


class ConvPatch(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.projection = torch.nn.Conv2d(
            config["num_channels"], config["hidden_size"], config["patch_size"], stride=config["patch_size"]
        )

    def forward(self, pixels):
        return self.projection(pixels).flatten(2).transpose(1, 2)


def make(kind, config, folder):
    """The model with generated weights, and its weights.json."""
    if kind is None:
        model = ConvPatch(config).eval()
        shapes = {name: list(p.shape) for name, p in model.named_parameters()}
        (folder / "config.json").write_text(json.dumps({"model_type": "conv_patch", **config}, indent=2) + "\n")
    else:
        options = {"add_pooling_layer": False} if kind is ViTModel else {}
        full = CONFIGS[kind](**config, attn_implementation="eager")
        model = kind(full, **options).eval()
        with tempfile.TemporaryDirectory() as temporary:
            model.save_pretrained(temporary)
            with safe_open(f"{temporary}/model.safetensors", "pt") as file:
                shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}
            text = pathlib.Path(temporary, "config.json").read_text()
        (folder / "config.json").write_text(text)
    tensors = {}
    for name, shape in shapes.items():
        offset, amplitude = rule(name, shape)
        tensors[name] = {"shape": shape, "offset": offset, "amplitude": amplitude}
    values = {n: generate(n, t["shape"], SEED, t["offset"], t["amplitude"]) for n, t in tensors.items()}
    if kind is None:
        model.load_state_dict(values)
    else:  # by the names on disk, which the class converts
        with tempfile.TemporaryDirectory() as temporary:
            write_safetensors(f"{temporary}/model.safetensors", values, {"format": "pt"})
            pathlib.Path(temporary, "config.json").write_text(text)
            model = kind.from_pretrained(temporary, attn_implementation="eager", **options).eval()
    lines = [f"    {json.dumps(n)}: {json.dumps(t)}" for n, t in sorted(tensors.items())]
    (folder / "weights.json").write_text('{\n  "seed": %d,\n  "tensors": {\n%s\n  }\n}\n' % (SEED, ",\n".join(lines)))
    return model


class double_interpolation:
    """DINOv2 resizes its positions in f32 whatever the dtype; f32 tables are exact in double."""

    def __enter__(self):
        self.saved = torch.nn.functional.interpolate
        torch.nn.functional.interpolate = lambda x, **options: self.saved(x.double(), **options)

    def __exit__(self, *unused):
        torch.nn.functional.interpolate = self.saved


def run(model, pixels):
    if isinstance(model, ConvPatch):
        out = model(pixels)
        return {"hidden_states.0": out, "last_hidden_state": out}
    options = {"interpolate_pos_encoding": True} if isinstance(model, (CLIPVisionModel, SiglipVisionModel)) else {}
    if isinstance(model, ViTModel):
        own = model.embeddings.image_size
        options = {"interpolate_pos_encoding": tuple(pixels.shape[2:]) != tuple(own)}
    out = model(pixels, output_hidden_states=True, **options)
    tensors = {f"hidden_states.{i}": state for i, state in enumerate(out.hidden_states)}
    tensors["last_hidden_state"] = out.last_hidden_state
    if isinstance(model, CLIPVisionModel):
        tensors["pooler_output"] = out.pooler_output
    return tensors


def write_case(folder, model, name, case, channels):
    images, height, width = case
    pixels = generate(f"{name}.pixel_values", [images, channels, height, width], SEED, 0.0, AMPLITUDE)
    single = run(model.float(), pixels)
    with double_arithmetic(), double_interpolation():
        double = run(model.double(), pixels.double())
    worst = max(float((single[n] - double[n]).abs().max() / double[n].abs().max()) for n in single)
    assert worst < 5e-6, (folder.name, name, worst)
    own = single["last_hidden_state"] is single["hidden_states.0"] or isinstance(model, CLIPVisionModel)
    if own:
        del single["last_hidden_state"]  # the last of hidden_states
    single["truth"] = double["last_hidden_state"]
    assert single["truth"].dtype == torch.float64
    write_safetensors(folder / f"{name}.safetensors", single, {
        **versions(), "images": str(images), "height": str(height), "width": str(width),
        "f32_vs_f64_max_rel": f"{worst:.3g}",
    })  # fmt: skip
    print(f"{folder.name} {name}: {worst:.2g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "vision"
    parser.add_argument("--output", type=pathlib.Path, default=default)
    parser.add_argument("--only", help="one geometry")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    for geometry, (kind, config, cases) in GEOMETRIES.items():
        if options.only and geometry != options.only:
            continue
        folder = options.output / geometry
        folder.mkdir(parents=True, exist_ok=True)
        model = make(kind, config, folder)
        for name, case in cases.items():
            write_case(folder, model, name, case, config.get("num_channels", 3))


if __name__ == "__main__":
    main()
