"""Makes tests/fixtures/projector/packers.safetensors: small PyTorch references of the packers, written from their
definitions (arXiv 2501.08282, 2407.02392). Windows are a mask over all keys here, coordinates decide who sees whom.

    python tests/reference/packers.py
"""
import torch
from torch import nn
from torch.nn import functional as F

from reference_case import fill, save, tensor


def mlp(before, after):
    return nn.Sequential(nn.Linear(before, after), nn.GELU(), nn.Linear(after, after))


def coordinates(grid):
    return torch.cartesian_prod(*(torch.arange(n) for n in grid)).view(-1, 3)


def hidden_from(fine, coarse):
    """[coarse tokens, fine tokens]: True where a coarse token may not look."""
    size = torch.tensor([f // c for f, c in zip(fine, coarse)])
    window = coordinates(fine) // size
    return (coordinates(coarse)[:, None] != window[None]).any(-1)


def resized(x, fine, coarse):
    """Time first, then space, as two interpolations."""
    grid = x.view(*fine, -1).permute(1, 2, 3, 0).flatten(0, 2)[:, None]  # [h w c, 1, t]
    grid = F.interpolate(grid, size=coarse[0], mode="linear").view(fine[1], fine[2], -1, coarse[0])
    grid = F.interpolate(grid.permute(3, 2, 0, 1), size=coarse[1:], mode="bilinear")
    return grid.permute(0, 2, 3, 1).reshape(-1, x.shape[-1])


class Module(nn.Module):
    def __init__(self, width, inner, heads):
        super().__init__()
        self.to_q, self.to_k, self.to_v = mlp(width, inner), mlp(width, inner), mlp(width, inner)
        self.ln_q, self.ln_k, self.ln_v = nn.LayerNorm(inner), nn.LayerNorm(inner), nn.LayerNorm(inner)
        self.attn = nn.MultiheadAttention(inner, heads, batch_first=True)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, x, fine, coarse, everywhere=False):
        start = resized(x, fine, coarse)
        mask = None if everywhere else hidden_from(fine, coarse)
        q, k, v = self.ln_q(self.to_q(start)), self.ln_k(self.to_k(x)), self.ln_v(self.to_v(x))
        return start + self.to_out(self.attn(q[None], k[None], v[None], attn_mask=mask)[0][0])


class Tracks(nn.Module):
    """Fast and slow straight from the grid."""

    def __init__(self, width, inner, heads, fast, slow, side, everywhere=False):
        super().__init__()
        self.token_packer_slow, self.token_packer_fast = Module(width, inner, heads), Module(width, inner, heads)
        self.fast, self.slow, self.side, self.everywhere = fast, slow, side, everywhere

    def forward(self, x, fine):
        square = (fine[0], self.side, self.side)
        x = resized(x, fine, square)
        parts = []
        for module, grid in ((self.token_packer_fast, self.fast), (self.token_packer_slow, self.slow)):
            grid = (1, *grid[1:]) if fine[0] == 1 else grid
            parts.append(module(x, square, grid, self.everywhere))
        return torch.cat(parts)


class FastSlow(nn.Module):
    """One shared module, then two tracks; an image has the slow one only."""

    def __init__(self, width, inner, heads, slow_frames, slow_side, fast_side, everywhere=False):
        super().__init__()
        self.token_packer = Module(width, inner, heads)
        self.token_packer_slow, self.token_packer_fast = Module(width, inner, heads), Module(width, inner, heads)
        self.slow_frames, self.slow_side, self.fast_side, self.everywhere = slow_frames, slow_side, fast_side, everywhere

    def forward(self, x, fine):
        middle = (fine[0], self.slow_side, self.slow_side)
        x = self.token_packer(x, fine, middle, self.everywhere)
        slow_frames = 1 if fine[0] == 1 else self.slow_frames
        slow = self.token_packer_slow(x, middle, (slow_frames, self.slow_side, self.slow_side), self.everywhere)
        if fine[0] == 1:
            return slow
        fast = self.token_packer_fast(x, middle, (fine[0], self.fast_side, self.fast_side), self.everywhere)
        return torch.cat((fast, slow))


class Tables(nn.Module):
    def __init__(self, width, frames, positions):
        super().__init__()
        for name, rows in (("temporal", frames), ("spatial_height", positions), ("spatial_width", positions)):
            setattr(self, f"{name}_input_embeddings", nn.Embedding(rows, width))
            setattr(self, f"{name}_output_embeddings", nn.Linear(width, rows, bias=False))

    def mean(self, name, size):
        table = (getattr(self, f"{name}_input_embeddings").weight + getattr(self, f"{name}_output_embeddings").weight) / 2
        return F.interpolate(table.T[None], size=size, mode="linear")[0].T

    def forward(self, x, grid):
        t, h, w = grid
        time = self.mean("temporal", t) if t > 1 else (
            self.temporal_input_embeddings.weight[:1] + self.temporal_output_embeddings.weight[:1]) / 2
        x = x.view(t, h, w, -1) + time[:, None, None]
        return (x + self.mean("spatial_height", h)[:, None] + self.mean("spatial_width", w)).flatten(0, 2)


class Original(nn.Module):
    """TokenPacker, whose keys come from several layers."""

    def __init__(self, vision, levels, inner, heads, text):
        super().__init__()
        self.q_proj_1 = nn.Linear(vision, inner, bias=False)
        self.k_proj_1, self.v_proj_1 = mlp(levels * vision, inner), mlp(levels * vision, inner)
        self.ln_q_1, self.ln_k_1, self.ln_v_1 = (nn.LayerNorm(inner, eps=1e-6) for _ in range(3))
        self.clip_attn = nn.MultiheadAttention(inner, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(inner, text), nn.GELU(), nn.Linear(text, text))

    def forward(self, x, levels, side, scale):
        fine, coarse = (1, side, side), (1, side // scale, side // scale)
        q = self.ln_q_1(self.q_proj_1(resized(x, fine, coarse)))
        k, v = self.ln_k_1(self.k_proj_1(levels)), self.ln_v_1(self.v_proj_1(levels))
        return self.mlp(self.clip_attn(q[None], k[None], v[None], attn_mask=hidden_from(fine, coarse))[0][0])


def prefixed(module):
    """Our names: what a module of Tracks or FastSlow has lies under devide_attention in checkpoints."""
    def rename(name):
        head, _, rest = name.partition(".")
        if head.startswith("token_packer"):
            return f"{head}.devide_attention.{rest}"
        return f"devide_attention.{name}" if isinstance(module, Module) else name
    return rename


def count(grid):
    return grid[0] * grid[1] * grid[2]


def main():
    results = {}
    torch.set_grad_enabled(False)

    for case, queries, window in [("attention.window", 6, 4), ("attention.all", 5, 0), ("attention.one", 3, 1),
                                  ("attention.many", 20, 0)]:
        module = fill(case, nn.MultiheadAttention(12, 3, batch_first=True))
        keys = queries * window if window else 9
        q, k, v = tensor(case, "q", queries, 12), tensor(case, "k", keys, 12), tensor(case, "v", keys, 12)
        mask = None if not window else torch.arange(queries)[:, None] != torch.arange(keys)[None] // window
        results[case] = module(q[None], k[None], v[None], attn_mask=mask)[0][0]

    for case, fine, coarse, everywhere in [
        ("module.spatial", (2, 6, 6), (2, 2, 2), False),
        ("module.temporal", (6, 2, 3), (2, 2, 3), False),
        ("module.both", (4, 4, 8), (2, 2, 2), False),
        ("module.image", (1, 4, 4), (1, 1, 1), False),
        ("module.same", (2, 2, 2), (2, 2, 2), False),
        ("module.global", (3, 5, 4), (3, 2, 2), True),
    ]:
        module = Module(10, 16, 2)
        fill(case, module, prefixed(module))
        results[case] = module(tensor(case, "input", count(fine), 10), fine, coarse, everywhere)

    for case, fine, everywhere in [
        ("tracks.video", (8, 16, 16), False), ("tracks.image", (1, 16, 16), False),
        ("tracks.other", (8, 6, 7), False), ("tracks.global", (8, 5, 5), True),
    ]:
        module = Tracks(4, 8, 2, (8, 2, 4), (2, 4, 4), 16 if not everywhere else 6, everywhere)
        fill(case, module, prefixed(module))
        results[case] = module(tensor(case, "input", count(fine), 4), fine)

    for case, fine, options in [
        ("fastslow.video", (4, 9, 9), (2, 3, 1)), ("fastslow.image", (1, 9, 9), (2, 3, 1)),
        ("fastslow.global", (4, 8, 8), (4, 3, 2, True)), ("fastslow.global-image", (1, 8, 8), (4, 3, 2, True)),
    ]:
        module = FastSlow(4, 8, 2, *options)
        fill(case, module, prefixed(module))
        results[case] = module(tensor(case, "input", count(fine), 4), fine)

    for case, grid in [("lape.same", (8, 10, 10)), ("lape.fast", (8, 2, 4)), ("lape.slow", (2, 4, 4)),
                       ("lape.image", (1, 3, 3)), ("lape.finer", (4, 13, 12))]:
        module = fill(case, Tables(3, 8, 10))
        results[case] = module(tensor(case, "input", count(grid), 3), grid)

    for case, side, scale, levels in [("original.2", 6, 2, 4), ("original.3", 6, 3, 4), ("original.4", 8, 4, 2),
                                      ("original.1", 3, 1, 1)]:
        module = fill(case, Original(6, levels, 16, 2, 10))
        results[case] = module(tensor(case, "input", side * side, 6), tensor(case, "levels", side * side, 6 * levels),
                               side, scale)

    # Whole ways from features to tokens.
    for case, fine in [("whole.pack-first", (8, 16, 16)), ("whole.pack-first-image", (1, 16, 16))]:
        packer = Tracks(4, 8, 2, (8, 2, 4), (2, 4, 4), 16)
        projector = nn.Sequential(nn.Linear(4, 10), nn.GELU(), nn.Linear(10, 6))
        positions = Tables(6, 8, 10)
        fill(case, packer, lambda name: "vision_resampler." + prefixed(packer)(name))
        fill(case, projector, lambda name: f"mm_projector.linear_{int(name[0]) // 2 + 1}{name[1:]}")
        fill(case, positions)
        x = projector(packer(tensor(case, "input", count(fine), 4), fine))
        frames = 1 if fine[0] == 1 else 8
        cut = frames * 8
        results[case] = torch.cat((positions(x[:cut], (frames, 2, 4)),
                                   positions(x[cut:], (1 if fine[0] == 1 else 2, 4, 4))))
    for case, fine, pack_images in [("whole.project-first", (4, 9, 9), False), ("whole.project-first-image", (1, 9, 9), False),
                                    ("whole.project-first-packed-image", (1, 9, 9), True)]:
        packer = FastSlow(4, 8, 2, 2, 3, 1)
        projector = nn.Sequential(nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 4))
        positions = Tables(4, 4, 10)
        fill(case, packer, lambda name: "vision_resampler." + prefixed(packer)(name))
        fill(case, projector, lambda name: f"mm_projector.linear_{int(name[0]) // 2 + 1}{name[1:]}")
        fill(case, positions)
        x = positions(projector(tensor(case, "input", count(fine), 6)), fine)
        results[case] = x if fine[0] == 1 and not pack_images else packer(x, fine)

    # Location place-holders: embedding at p of a table of ten rows.
    table = tensor("location", "table", 10, 3)
    places = torch.tensor([-1.0, 0.0, 0.05, 0.5, 0.999, 1.0, 7.0], dtype=torch.float64)
    u = places.clamp(0, 1) * 9
    ratio = (u - u.floor())[:, None]
    results["location"] = (1 - ratio) * table[u.floor().long()] + ratio * table[u.ceil().long()]

    # Neighbouring token propagation: value and gradient of the reparametrised table.
    torch.set_grad_enabled(True)
    for rows in (1, 2, 5, 100):
        case = f"propagation.{rows}"
        table = tensor(case, "table", rows, 2).requires_grad_()
        index = torch.arange(rows)
        spread = (2.0 ** -(index[:, None] - index[None]).abs()).double() @ table
        value = table + spread - spread.detach()
        value.backward(tensor(case, "gradient", rows, 2))
        assert (value - table).abs().max() < 1e-15
        results[case] = table.grad
    save("projector/packers.safetensors", results)


if __name__ == "__main__":
    main()
