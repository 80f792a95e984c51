"""Makes tests/fixtures/projector/llava_projector.safetensors: LlavaMultiModalProjector of transformers, and the
other types of LLaVA-NeXT's mm_projector_type in plain torch (Linear, GELU, and residual blocks on a LayerNorm).

    python tests/reference/projectors.py
"""
import re

import torch
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from reference_case import fill, save, tensor

torch.set_grad_enabled(False)


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.pre_norm = nn.LayerNorm(width)
        self.proj = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x):
        normed = self.pre_norm(x)
        return normed + self.proj(normed)


def original(vision, text, depth, residuals, hidden):
    widths = [vision] + [hidden] * (depth - 1) + [text]
    layers = []
    for i, (before, after) in enumerate(zip(widths, widths[1:])):
        layers += [nn.GELU()] * (i > 0) + [nn.Linear(before, after)]
    return nn.Sequential(*layers, *(Residual(text) for _ in range(residuals)))


def ours(name, depth):
    """mm_projector's name of a parameter -> ours."""
    index, rest = name.split(".", 1)
    if int(index) <= 2 * depth - 2:
        return f"linear_{int(index) // 2 + 1}.{rest}"
    rest = re.sub(r"^proj\.(\d)", lambda m: f"linear_{int(m[1]) // 2 + 1}", rest)
    return f"residual.{int(index) - (2 * depth - 1)}.{rest}"


results, names = {}, {}
for case, vision, text, depth, residuals, hidden in [
    ("linear", 24, 20, 1, 0, 20),
    ("mlp2x_gelu", 24, 20, 2, 0, 20),
    ("mlp3x_gelu", 12, 36, 3, 0, 36),
    ("mlp4x_gelu", 12, 20, 4, 0, 20),
    ("mlp2x_res2x_gelu", 24, 20, 2, 2, 20),
    ("mlp1x_res1x_gelu", 24, 20, 1, 1, 20),
    ("seed", 16, 12, 2, 0, 40),
]:
    module = fill(case, original(vision, text, depth, residuals, hidden), lambda name: ours(name, depth))
    results[case] = module(tensor(case, "input", 5, vision))
    names[case] = " ".join(f"{ours(name, depth)}={name}" for name, _ in module.named_parameters())
for case, act, bias, layers in [("hf", "gelu", True, -2), ("hf-tanh", "gelu_pytorch_tanh", True, -2),
                                ("hf-no-bias", "silu", False, -2), ("hf-two-layers", "quick_gelu", True, [-2, -1])]:
    config = LlavaConfig(vision_config=CLIPVisionConfig(hidden_size=16, num_attention_heads=2),
                         text_config=LlamaConfig(hidden_size=20, num_attention_heads=2), projector_hidden_act=act,
                         multimodal_projector_bias=bias, vision_feature_layer=layers)
    module = fill(case, LlavaMultiModalProjector(config))
    results[case] = module(tensor(case, "input", 5, module.linear_1.in_features))
save("projector/llava_projector.safetensors", results, names)
