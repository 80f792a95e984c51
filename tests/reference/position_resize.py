"""Prints the expected values of tests/vision/position_resize_test.cpp: torch's bicubic interpolation of small
tables in double, without and with antialiasing. A table of side*side rows and two channels whose entry
(row, column, channel) is ((7 * (row * side + column) + 3 * channel) % 11) / 8."""
import torch

CASES = [(4, 4, 4), (4, 8, 8), (4, 2, 2), (4, 6, 6), (4, 2, 8), (3, 5, 4), (1, 3, 2), (2, 1, 1)]
ANTIALIASED = [(5, 3, 3), (5, 2, 8), (6, 6, 4), (3, 5, 4), (7, 1, 2), (1, 3, 2)]

print(f"// torch {torch.__version__}")
for antialias, cases in ((False, CASES), (True, ANTIALIASED)):
    print("// antialias" if antialias else "// plain")
    for side, height, width in cases:
        channels = 2
        index = torch.arange(side * side)
        table = torch.stack([((7 * index + 3 * c) % 11).double() / 8 for c in range(channels)])
        out = torch.nn.functional.interpolate(table.view(1, channels, side, side), size=(height, width), mode="bicubic",
                                              align_corners=False, antialias=antialias)
        values = out[0].permute(1, 2, 0).reshape(-1).tolist()
        text = ", ".join(f"{v:.9g}" for v in values)
        print(f"    {{{side}, {{{height}, {width}}}, {{{text}}}}},")
