"""Makes tests/fixtures/projector/llava_token_packer.safetensors: a picture's way through transformers'
CLIPVisionModel, of which TokenPacker's encoder takes hidden_states[-2] and those of some layers side by side, without
the class token, and through TokenPacker (packers.py), in f64.

    python tests/reference/llava_token_packer.py
"""
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

from packers import Original
from reference_case import fill, save, tensor

LAYERS = 5


def main():
    torch.set_grad_enabled(False)
    results = {}
    for case, scale, levels in [("two", 2, [1, 3, 4, 5]), ("four", 4, [0, 4])]:
        config = CLIPVisionConfig(hidden_size=12, intermediate_size=16, num_hidden_layers=LAYERS,
                                  num_attention_heads=2, image_size=32, patch_size=8)
        tower = fill(case, CLIPVisionModel(config).eval(),
                     lambda name: "vision_tower." + name.removeprefix("vision_model."))
        packer = fill(case, Original(12, len(levels), 8, 2, 16), lambda name: "multi_modal_projector." + name)
        pixels = tensor(case, "pixel_values", 3, 32, 32)
        states = [state[0, 1:] for state in tower(pixels[None], output_hidden_states=True).hidden_states]
        wide = torch.cat([states[level] for level in levels], dim=-1)
        results[case] = packer(states[-2], wide, 4, scale)
    save("projector/llava_token_packer.safetensors", results)


if __name__ == "__main__":
    main()
