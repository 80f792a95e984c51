"""GPT-OSS-Vision on top of transformers' GptOss and ViT classes, from its definition: layers without positions (cos
1, sin 0, whatever rope says, YaRN's gain included), a learned offset of the router's logits on the rows of images, and
with use_vision the adapter, whose embeddings stand before the text. No such class is in transformers. `register()`
makes model_type gpt_oss_vision known to the Auto classes; `vision_rows` of a model is a mask [B, T] of the prompt's
rows (what is generated behind them is text), which `fuse` sets when it puts images before a padded batch of texts."""

import torch
import torch.nn.functional as F
from transformers import AutoConfig, AutoModelForCausalLM, GptOssConfig, GptOssForCausalLM, ViTConfig, ViTModel
from transformers.models.gpt_oss import modeling_gpt_oss


class GptOssVisionConfig(GptOssConfig):
    model_type = "gpt_oss_vision"
    use_nope: bool = False
    nope_stride: int = 4
    no_rope_layers: list[int] | None = None
    router_aux_loss_coef: float = 0.9
    use_vision: bool = False
    vision_model_type: str = "vit"  # our key: or conv_patch, the fallback
    vision_embed_dim: int = 1024
    vision_intermediate_size: int = 4096  # our keys: the class leaves them to ViTConfig
    vision_layer_norm_eps: float = 1e-6
    vision_patch_size: int = 14
    vision_num_channels: int = 3
    vision_num_layers: int = 24
    vision_num_heads: int = 16
    vision_image_size: int = 224
    vision_pool_token: bool = True


def is_nope(config, layer):
    if not config.use_nope:
        return False
    if config.no_rope_layers is not None:
        return config.no_rope_layers[layer] == 0
    return config.nope_stride > 0 and (layer + 1) % config.nope_stride == 0


class Attention(modeling_gpt_oss.GptOssAttention):
    def forward(self, hidden_states, position_embeddings, attention_mask, past_key_values=None, **kwargs):
        cos, sin = position_embeddings
        if is_nope(self.config, self.layer_idx):
            cos, sin = torch.ones_like(cos), torch.zeros_like(sin)
        return super().forward(hidden_states, (cos, sin), attention_mask, past_key_values, **kwargs)


class GptOssTopKRouter(modeling_gpt_oss.GptOssTopKRouter):
    def __init__(self, config):
        super().__init__(config)
        self.vision_bias = torch.nn.Parameter(torch.zeros(self.num_experts))
        self.vision_rows = None  # [tokens] of the pass

    def forward(self, hidden_states):
        logits = F.linear(hidden_states, self.weight, self.bias)
        if self.vision_rows is not None:
            logits = logits + self.vision_rows.to(logits.dtype)[:, None] * self.vision_bias
        best, indices = torch.topk(logits, self.top_k, dim=-1)
        return logits, F.softmax(best, dim=1, dtype=best.dtype), indices


class VisionAdapter(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        width, patch = config.vision_embed_dim, config.vision_patch_size
        if config.vision_model_type == "vit":
            self.vit = ViTModel(ViTConfig(
                hidden_size=width, intermediate_size=config.vision_intermediate_size,
                num_hidden_layers=config.vision_num_layers, num_attention_heads=config.vision_num_heads,
                image_size=config.vision_image_size, patch_size=patch, num_channels=config.vision_num_channels,
                layer_norm_eps=config.vision_layer_norm_eps, attn_implementation="eager"), add_pooling_layer=False)
        else:
            self.patch_embed = torch.nn.Conv2d(config.vision_num_channels, width, patch, stride=patch)
        self.pool_token = torch.nn.Parameter(torch.zeros(1, 1, width)) if config.vision_pool_token else None
        self.norm = torch.nn.LayerNorm(width)
        self.proj = torch.nn.Linear(width, config.hidden_size)

    def forward(self, pixel_values):
        if hasattr(self, "vit"):
            x = self.vit(pixel_values, interpolate_pos_encoding=True).last_hidden_state
        else:
            x = self.patch_embed(pixel_values).flatten(2).transpose(1, 2)
        if self.pool_token is not None:
            x = torch.cat([self.pool_token.expand(len(x), -1, -1), x], 1)
        return self.proj(self.norm(x))


class GptOssVisionForCausalLM(GptOssForCausalLM):
    config_class = GptOssVisionConfig

    @classmethod
    def _can_set_experts_implementation(cls):  # told by the text of a class's module otherwise
        return True

    def __init__(self, config):
        super().__init__(config)
        for index, layer in enumerate(self.model.layers):
            layer.self_attn = Attention(config, index)
            layer.mlp.router = GptOssTopKRouter(config)
        if config.use_vision:
            self.model.vision_adapter = VisionAdapter(config)
        self.vision_rows = None
        self.model.register_forward_pre_hook(self.tell_routers, with_kwargs=True)
        self.post_init()

    def tell_routers(self, _, arguments, options):
        cache, rows = options.get("past_key_values"), None
        if self.vision_rows is not None and not (cache is not None and cache.get_seq_length()):
            given = options["inputs_embeds"] if options.get("input_ids") is None else options["input_ids"]
            text = given.shape[1] - self.vision_rows.shape[1]
            rows = F.pad(self.vision_rows, (0, text)).flatten()
        for layer in self.model.layers:
            layer.mlp.router.vision_rows = rows

    def fuse(self, input_ids, attention_mask, pixel_values=None, pictures=None):
        """What to run: each row's images before its text, and the padding, which is on the left, before these."""
        text = self.get_input_embeddings()(input_ids)
        features = self.model.vision_adapter(pixel_values) if pixel_values is not None else None
        rows, first = [], 0
        for b, row in enumerate(text):
            count = int(pictures[b]) if pictures is not None else 0
            images = features[first:first + count].flatten(0, 1) if count else row[:0]
            rows.append((images, row[attention_mask[b].bool()]))
            first += count
        width = max(len(images) + len(row) for images, row in rows)
        pads = [width - len(images) - len(row) for images, row in rows]
        self.vision_rows = torch.tensor(
            [[0] * pad + [1] * len(images) + [0] * len(row) for pad, (images, row) in zip(pads, rows)])
        return {
            "inputs_embeds": torch.stack(
                [F.pad(torch.cat(parts), (0, 0, pad, 0)) for pad, parts in zip(pads, rows)]),
            "attention_mask": torch.tensor([[0] * pad + [1] * (width - pad) for pad in pads])}


def register():
    AutoConfig.register("gpt_oss_vision", GptOssVisionConfig)
    AutoModelForCausalLM.register(GptOssVisionConfig, GptOssVisionForCausalLM)
