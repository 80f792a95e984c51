"""Shared parts of the parity fixture scripts: the counter-based weight generator, a deterministic
safetensors writer, HF model construction, MXFP4 packing and the f64 run of the HF classes.

The generator is meant to be written again on the other side in a few lines:
  key   = fnv1a64(utf8(f"{seed}:{name}"))          name as `save_pretrained` writes it to disk
  z     = splitmix64(key + i)                      i = flat row-major index, arithmetic mod 2^64
  u     = (z >> 40) * 2^-23 - 1                    exact in f32, in [-1, 1)
  value = offset + amplitude * u                   amplitude is a power of two: exact up to one rounding
"""

import copy
import json
import math
import re
import struct

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers import modeling_rope_utils
from transformers.models.gemma import modeling_gemma
from transformers.models.gpt_oss import modeling_gpt_oss
from transformers.models.internvl import modeling_internvl
from transformers.models.llama import modeling_llama
from transformers.models.mistral import modeling_mistral
from transformers.models.mixtral import modeling_mixtral
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen3 import modeling_qwen3

import gpt_oss_vision

gpt_oss_vision.register()
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)

MASK64 = (1 << 64) - 1


# ---------------------------------------------------------------- the generator

def fnv1a64(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK64
    return h


def splitmix64(x):
    """x: array of uint64. The output function of splitmix64, with x as the state before its increment."""
    with np.errstate(over="ignore"):
        z = x + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def generate(name, shape, seed, offset, amplitude):
    count = math.prod(shape)
    key = np.uint64(fnv1a64(f"{seed}:{name}".encode()))
    with np.errstate(over="ignore"):
        z = splitmix64(key + np.arange(count, dtype=np.uint64))
    u = (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    value = np.float32(offset) + np.float32(amplitude) * u
    return torch.from_numpy(value.astype(np.float32).reshape(shape))


def power_of_two(x):
    return 2.0 ** round(math.log2(x))


# Gains over 1/sqrt(fan_in), chosen so that attention, routers and the SwiGLU clamps are not trivial.
GAINS = {
    "q_proj": 1.5, "k_proj": 1.5, "router": 2.0, "gate_up_proj": 3.0, "down_proj": 0.25,
    "lm_head": 1.5, "linear": 1.0, "gate": 2.0, "c_attn": 1.5, "Wqkv": 1.5,
}


def weight_rule(name, shape, gains=None, rules=()):
    """(offset, amplitude) of a tensor: the first of rules [regex, offset, amplitude] that fits its name, else
    by the end of its name and its shape on disk."""
    for pattern, offset, amplitude in rules:
        if re.search(pattern, name):
            return offset, amplitude
    gains = {**GAINS, **(gains or {})}
    part = name.split(".")
    last, owner = part[-1], part[-2] if len(part) > 1 else ""
    if last == "sinks":
        return 0.0, 2.0
    if last.startswith("lambda_"):
        return 0.5, 0.5
    if last in ("cls_token", "position_embeddings", "mask_token", "pool_token"):
        return 0.0, 0.5
    if "norm" in owner or owner.startswith("ln_"):
        return (1.0, 0.5) if last == "weight" else (0.0, 0.25)
    if last == "bias" or last.endswith("_bias"):
        return 0.0, 0.25
    if owner in ("embed_tokens", "wte"):
        return 0.0, 1.0
    if owner == "wpe":
        return 0.0, 0.5
    if last in ("gate_up_proj", "down_proj"):  # [E, in, out]
        fan_in, gain = shape[1], gains[last]
    else:
        fan_in, gain = math.prod(shape[1:]), gains.get(owner, gains["linear"])
    return 0.0, power_of_two(gain * math.sqrt(3.0 / fan_in))


# ---------------------------------------------------------------- safetensors, byte for byte reproducible

SAFETENSORS_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16",
    torch.int64: "I64", torch.uint8: "U8",
}


def write_safetensors(path, tensors, metadata=None):
    header = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    offset, blobs = 0, []
    for name in sorted(tensors, key=lambda n: (-tensors[n].element_size(), n)):
        tensor = tensors[name].detach().contiguous()
        blob = tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        header[name] = {
            "dtype": SAFETENSORS_DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for blob in blobs:
            file.write(blob)


def versions():
    import safetensors
    return {
        "torch": torch.__version__, "transformers": transformers.__version__,
        "safetensors": safetensors.__version__, "numpy": np.__version__,
    }


# ---------------------------------------------------------------- models

def make_config(geometry):
    """An HF config from a description {model_type, text: {...}, vision: {...} or absent, top: {...}}. With a vision
    part it is one of a composition: internvl, or what "composition" says."""
    model_type = geometry.get("model_type", "gpt_oss")
    if "vision" not in geometry:
        return AutoConfig.for_model(model_type, **geometry["text"])
    text = dict(geometry["text"], model_type=model_type)
    return AutoConfig.for_model(geometry.get("composition", "internvl"), vision_config=dict(geometry["vision"]),
                                text_config=text, **geometry.get("top", {}))


def is_multimodal(config):
    return hasattr(config, "vision_config")


def is_prefixed(config):
    """Images stand before the text, and the config is flat."""
    return getattr(config, "use_vision", False)


def make_model(config, dtype=torch.float32, experts="eager", attention="eager"):
    config = copy.deepcopy(config)
    config._attn_implementation = attention
    kind = AutoModelForImageTextToText if is_multimodal(config) else AutoModelForCausalLM
    model = kind.from_config(config, attn_implementation=attention).eval()
    if has_experts(config):
        # InternVLForConditionalGeneration itself refuses the option (5.23): only its language model has experts.
        decoder = model.model.language_model if is_multimodal(config) else model
        decoder.set_experts_implementation(experts)
        assert decoder.config._experts_implementation == experts
    model.generation_config.eos_token_id = None  # greedy runs have the length that the case asks for
    cast(model, dtype)
    return model


def has_experts(config):
    return hasattr(getattr(config, "text_config", config), "num_experts_per_tok")


def is_dynamic(config):
    rope = getattr(getattr(config, "text_config", config), "rope_parameters", None)
    return bool(rope) and rope.get("rope_type") == "dynamic"


def forget_lengths(model):
    """Dynamic rotation remembers the longest sequence it has seen; a case starts without."""
    for module in model.modules():
        if hasattr(module, "max_seq_len_cached"):
            module.max_seq_len_cached = module.original_max_seq_len
            module.inv_freq = module.original_inv_freq


def round_embedding_scale(model):
    """As a checkpoint in bf16 has it (Gemma), for runs of its weights in a wider dtype."""
    for module in model.modules():
        if hasattr(module, "embed_scale"):
            module.embed_scale = module.embed_scale.to(torch.bfloat16).to(module.embed_scale.dtype)


def cast(model, dtype):
    """`model.to(dtype)` rounds inv_freq too, which `from_pretrained(dtype=...)` does not: keep it f32."""
    kept = {n: b.clone() for n, b in model.named_buffers() if "inv_freq" in n}
    model.to(dtype)
    for name, module in model.named_modules():
        for leaf in ("inv_freq", "original_inv_freq"):
            full = f"{name}.{leaf}"
            if full in kept:
                setattr(module, leaf, kept[full])


def disk_name(name, multimodal):
    """State-dict name to the one that save_pretrained 5.x writes."""
    if not multimodal:
        return name
    if name == "lm_head.weight":
        return "language_model.lm_head.weight"
    if name.startswith("model.language_model."):
        return "language_model.model." + name[len("model.language_model."):]
    return name[len("model."):]


def vit_name(name):
    """A ViTModel's names as its checkpoints have them."""
    if ".vit." in name:
        for ours, theirs in ((".layers.", ".encoder.layer."), (".attention.q_proj.", ".attention.attention.query."),
                             (".attention.k_proj.", ".attention.attention.key."),
                             (".attention.v_proj.", ".attention.attention.value."),
                             (".attention.o_proj.", ".attention.output.dense."), (".mlp.fc1.", ".intermediate.dense."),
                             (".mlp.fc2.", ".output.dense.")):
            name = name.replace(ours, theirs)
    return name


def on_disk(name, parameter, multimodal, mixtral, dinov2=False):
    """Pairs of a name on disk and the part of the parameter that lies there."""
    disk = vit_name(disk_name(name, multimodal))
    if dinov2 and disk.startswith("vision_tower."):
        for ours, theirs in (("q_proj", "attention.query"), ("k_proj", "attention.key"), ("v_proj", "attention.value"),
                             ("o_proj", "output.dense")):
            disk = disk.replace(f".attention.{ours}.", f".attention.{theirs}.")
    if mixtral and ".mlp.experts." in name:
        base = disk.split(".mlp.experts.")[0] + ".block_sparse_moe.experts"
        for e, expert in enumerate(parameter):
            if name.endswith("down_proj"):
                yield f"{base}.{e}.w2.weight", expert
            else:
                half = expert.shape[0] // 2
                yield f"{base}.{e}.w1.weight", expert[:half]
                yield f"{base}.{e}.w3.weight", expert[half:]
    else:
        yield disk.replace(".mlp.gate.weight", ".block_sparse_moe.gate.weight"), parameter


def fill(model, values):
    """values: {disk name: tensor}."""
    for name, parameter in stored_parameters(model, remove_duplicate=False):
        parameter.copy_(values[name].to(parameter.dtype))


def tied(model):
    return model.lm_head.weight is model.get_input_embeddings().weight


def stored_parameters(model, **options):
    multimodal = is_multimodal(model.config)
    mixtral = getattr(model.config, "text_config", model.config).model_type == "mixtral"
    dinov2 = multimodal and model.config.vision_config.model_type.startswith("dinov2")
    for name, parameter in model.named_parameters(**options):
        if tied(model) and name == "lm_head.weight":
            continue
        yield from on_disk(name, parameter.detach(), multimodal, mixtral, dinov2)


def disk_tensors(model):
    return dict(stored_parameters(model))


# ---------------------------------------------------------------- the f64 run

def f64_patches():
    """HF's RMSNorms, rotary embedding and softmax compute in f32 whatever the dtype; in the f64 run they are replaced.
    RoPE angles stay f32 products of the f32 inv_freq (they define the model); cos, sin and scaling are f64."""

    def gpt_oss_norm(self, x):
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * x

    @modeling_rope_utils.dynamic_rope_update
    def rotary(self, x, position_ids):
        angle = (position_ids[..., None].float() * self.inv_freq.float()).double()
        return angle.cos() * self.attention_scaling, angle.sin() * self.attention_scaling

    def gemma_norm(self, x):
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return x * (1 + self.weight)

    def llama_rotary(self, x, position_ids):
        cos, sin = rotary(self, x, position_ids)
        return torch.cat((cos, cos), -1), torch.cat((sin, sin), -1)

    return [
        (modeling_gemma.GemmaRMSNorm, gemma_norm),
        (modeling_gemma.GemmaRotaryEmbedding, llama_rotary),
        (modeling_llama.LlamaRMSNorm, gpt_oss_norm),
        (modeling_mistral.MistralRMSNorm, gpt_oss_norm),
        (modeling_mixtral.MixtralRMSNorm, gpt_oss_norm),
        (modeling_mixtral.MixtralRotaryEmbedding, llama_rotary),
        (modeling_qwen2.Qwen2RMSNorm, gpt_oss_norm),
        (modeling_qwen3.Qwen3RMSNorm, gpt_oss_norm),
        (modeling_llama.LlamaRotaryEmbedding, llama_rotary),
        (modeling_mistral.MistralRotaryEmbedding, llama_rotary),
        (modeling_qwen2.Qwen2RotaryEmbedding, llama_rotary),
        (modeling_qwen3.Qwen3RotaryEmbedding, llama_rotary),
        (modeling_gpt_oss.GptOssRMSNorm, gpt_oss_norm),
        (modeling_internvl.InternVLVisionRMSNorm, gpt_oss_norm),
        (modeling_gpt_oss.GptOssRotaryEmbedding, rotary),
    ]


def f64_softmax(x, dim=None, dtype=None, **options):
    x = x.clamp_min(torch.finfo(x.dtype).min)  # the f64 mask overflows where a class casts it to f32 (MPT)
    return SOFTMAX(x, dim=dim, dtype=x.dtype if x.dtype == torch.float64 else dtype, **options)


SOFTMAX = torch.nn.functional.softmax


class double_arithmetic:
    def __enter__(self):
        self.saved = [(kind, kind.forward) for kind, _ in f64_patches()]
        torch.nn.functional.softmax = f64_softmax
        for kind, function in f64_patches():
            kind.forward = function

    def __exit__(self, *unused):
        torch.nn.functional.softmax = SOFTMAX
        for kind, function in self.saved:
            kind.forward = function


# ---------------------------------------------------------------- MXFP4

FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def mxfp4_pack(weight):
    """[E, in, out] f32 -> blocks U8 [E, out, in/32, 16], scales U8 [E, out, in/32] (gpt-oss layout)."""
    x = weight.transpose(1, 2).contiguous()
    experts, rows, columns = x.shape
    x = x.reshape(experts, rows, columns // 32, 32)
    peak = x.abs().amax(-1)
    exponent = torch.where(peak > 0, torch.floor(torch.log2(peak.clamp_min(1e-30))) - 2,
                           torch.tensor(-127.0)).clamp(-127, 127)
    scaled = x / torch.exp2(exponent).unsqueeze(-1)
    nibble = (scaled.unsqueeze(-1).abs() - FP4[:8]).abs().argmin(-1) + 8 * (scaled < 0)
    blocks = (nibble[..., 0::2] | (nibble[..., 1::2] << 4)).to(torch.uint8)
    return blocks, (exponent + 127).to(torch.uint8)


def mxfp4_unpack(blocks, scales):
    """The inverse, in f32: [E, in, out]."""
    low, high = FP4[(blocks & 15).long()], FP4[(blocks >> 4).long()]
    x = torch.stack([low, high], -1).flatten(-2)
    x = x * torch.exp2(scales.float() - 127).unsqueeze(-1)
    return x.flatten(-2).transpose(1, 2).contiguous()
