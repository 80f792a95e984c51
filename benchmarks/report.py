#!/usr/bin/env python3
"""Runs gov's benchmarks and writes the whole table: report.json, report.md and a picture, report.png.

    cmake -P cmake/test.cmake                         # or any build with benchmarks and examples
    python3 benchmarks/report.py                      # an hour or more on two idle cores, 16 GB of memory
    python3 benchmarks/report.py --quick              # seconds: small sizes, to see that everything runs
    python3 benchmarks/report.py --from report.json   # only writes the tables and the picture again
    python3 benchmarks/report.py --from report.json --only compile   # measures one part again

Every row stands beside the limits of the machine that were measured in the same process. The picture shows the roofline with the
kernels and modules on it, what share of its limit each reaches, and throughput against batch, context and prompt. It needs
matplotlib (any version of the last years), as nothing else in gov does: without it there are still the JSON and the tables. The
rows of other programs come from benchmarks/peers.json, which says where they were measured; --pytorch adds compare_pytorch.py.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PARTS = ("kernels", "modules", "models", "compile")

# What gov bench is asked for.
SWEEP = ["--preset", "InternVl35GptOss20b", "--storage", "mxfp4-q8", "--decode", "64"]
MODELS = [
    [*SWEEP, "--prefill", "512,2048", "--depth", "0,4096,32768", "--batch", "1,4,8", "--tiles", "1,7"],
    [*SWEEP, "--prefill", "512,2048", "--depth", "0,4096", "--batch", "1,4,8", "--tiles", "0", "--arithmetic", "int8"],
    [*SWEEP, "--prefill", "512", "--depth", "0,4096", "--batch", "1,4,8", "--tiles", "1", "--arithmetic", "invariant"],
    ["--preset", "InternVl35GptOss20b", "--storage", "mxfp4-bf16", "--decode", "64", "--prefill", "512", "--depth", "0,4096",
     "--batch", "1,8", "--tiles", "0"],
    ["--preset", "Qwen2_0_5b", "--storage", "bf16", "--prefill", "512", "--decode", "64", "--depth", "0,4096"],
    ["--preset", "Qwen2_0_5b", "--storage", "mxfp4-q8", "--prefill", "512", "--decode", "64", "--depth", "0,4096"],
]
PEER_MODELS = {"GptOss20b": "gpt-oss-20b", "Qwen2_0_5b": "Qwen2-0.5B"}  # our types, and what peers.json calls them
QUICK_MODELS = [["--preset", "Digits", "--prefill", "16,32,64", "--decode", "4", "--depth", "0,64,256", "--batch", "1,4,8",
                 "--repetitions", "1", "--probe-gb", "0.02"]]
# Programs, and the part of their rows that is quick.
KERNELS = {"bench_kernel_matmul": "limits|/mxfp4/.*256x1024/(8|64)$", "bench_kernel_attention": "window_128|softmax",
           "bench_kernel_elementwise": "."}
MODULES = {"bench_module_attention": None, "bench_module_experts": None, "bench_module_vision": "limits|projector",
           "bench_module_lm_head": None}


def run(command, **options):
    print("+", *command, file=sys.stderr, flush=True)
    return subprocess.run([str(part) for part in command], check=True, **options)


def google(program, arguments, quick_filter):
    """The rows of a Google Benchmark program: medians, with their counters."""
    command = [program, "--benchmark_out_format=json"]
    environment = dict(os.environ)
    if arguments.threads:
        environment["GOV_THREADS"] = str(arguments.threads)
    if arguments.quick:
        command += ["--benchmark_min_time=0.001", f"--benchmark_filter={quick_filter}"]
        environment["GOV_PROBE_GB"] = "0.02"
    else:
        command += [f"--benchmark_min_time={arguments.min_time}", f"--benchmark_repetitions={arguments.repetitions}",
                    "--benchmark_report_aggregates_only=true"]
        environment.setdefault("GOV_PROBE_GB", "2")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows.json"
        run([*command, f"--benchmark_out={path}"], env=environment, stdout=subprocess.DEVNULL)
        document = json.loads(path.read_text())
    rows = []
    for row in document["benchmarks"]:
        if row.get("aggregate_name", "median") != "median" or row.get("error_occurred"):
            continue
        seconds = row["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[row["time_unit"]]
        result = {"name": row["run_name"].removesuffix("/real_time"), "seconds": seconds}
        for theirs, ours in (("GFLOP/s", "flops_per_s"), ("GB/s", "bytes_per_s"), ("limit_GFLOP/s", "limit_flops_per_s"),
                             ("limit_GB/s", "limit_read_bytes_per_s"), ("limit_f32_GFLOP/s", "limit_f32_flops_per_s"),
                             ("limit_bf16_GFLOP/s", "limit_bf16_flops_per_s"), ("limit_int8_GOP/s", "limit_int8_ops_per_s")):
            if theirs in row:
                result[ours] = row[theirs] * 1e9
        if "share_of_limit" in row:
            result["share_of_limit"] = row["share_of_limit"]
        rows.append(result)
    return rows


def model_rows(options, arguments):
    extra = ["--threads", str(arguments.threads)] if arguments.threads else []
    command = [arguments.build / "bin" / "gov", "bench", "--json", *options, *extra]
    print("+ gov bench", *options, file=sys.stderr, flush=True)
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:  # too little memory, for one: the other rows are worth having
        return {"options": options, "failed": True}
    return {"options": options, **json.loads(result.stdout)}


def compile_times(arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "compile.json"
        only = ["-DONLY=umbrella"] if arguments.quick else []
        run(["cmake", f"-DCOMPILER={arguments.compiler}", f"-DJSON={path}", *only, "-P", HERE / "compile_time.cmake"],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": folder})
        return json.loads(path.read_text())


def pytorch():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "pytorch.json"
        run([sys.executable, HERE / "compare_pytorch.py", "--json", path], stdout=subprocess.DEVNULL)
        return json.loads(path.read_text())


def measure(report, arguments, save):
    """Fills the parts of the report that are asked for; each program's rows are saved as they come. One that fails is named, and
    the others run."""
    def keep(rows, key, call, *values):
        try:
            rows[key] = call(*values)
        except (subprocess.CalledProcessError, OSError, ValueError) as error:
            print(f"{key}: {error}\n{getattr(error, 'stderr', None) or ''}", file=sys.stderr, flush=True)
            report["failed"].append(key)
        save()

    report["failed"] = []
    for part, programs in (("kernels", KERNELS), ("modules", MODULES)):
        if part in arguments.only:
            report[part] = {}
            for name, only in programs.items():
                if only or not arguments.quick:
                    keep(report[part], name, google, arguments.build / "bin" / name, arguments, only)
    if "models" in arguments.only:
        report["models"] = []
        for options in arguments.model or (QUICK_MODELS if arguments.quick else MODELS):
            report["models"].append(model_rows(options, arguments))
            save()
    if "compile" in arguments.only:
        keep(report, "compile", compile_times, arguments)
    if arguments.pytorch:
        keep(report, "pytorch", pytorch)


def machine():
    result = {"processor": platform.processor() or platform.machine(), "processors": os.cpu_count(), "system": platform.platform()}
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                result["processor"] = line.split(": ", 1)[1]
                break
        for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal"):
                result["memory_bytes"] = int(line.split()[1]) * 1024
        result["load_average_before"] = os.getloadavg()[0]
    except OSError:
        pass
    return result


# ---- tables ----

def described(model):
    return f"{model['model']}, {model['storage']}, {model['arithmetic']}, {model['cache']} caches"


def work_of(row):
    behind = f" behind {row['depth']:,}" if row.get("depth") else ""
    if row["work"] == "prefill":
        return f"prefill {row['tokens']:,} tokens{behind}"
    if row["work"] == "decode":
        batch = row.get("batch", 1)
        return f"decode{behind}" + (f", {batch} sequences" if batch > 1 else "")
    return f"vision, {row['tiles']} tile{'s' if row['tiles'] > 1 else ''}"


def speed_of(row):
    return f"{row['ms_per_tile']:,.1f} ms/tile" if "ms_per_tile" in row else f"{row['tokens_per_s']:,.2f} tokens/s"


def limiting_share(row):
    """The share of the limit that the work meets first, and its name."""
    read, flops = row["share_of_read_limit"], row["share_of_flop_limit"]
    return (read, "read") if read > flops else (flops, "arithmetic")


def peers_of(report, model, row):
    language = next((theirs for ours, theirs in PEER_MODELS.items() if ours in model["model"]), None)
    if language is None:
        return []
    geometry = "InternViT-300M" if row["work"] == "vision" else language
    def same(peer):
        return peer["model"] == geometry and (row["work"] == "vision" or peer["storage"] == model["storage"]) and all(
            peer.get(key, row.get(key)) == row.get(key) for key in ("work", "depth", "batch", "tiles")) and (
            row["work"] != "prefill" or peer["tokens"] == row["tokens"])
    return [peer for peer in report["peers"]["rows"] if same(peer)]


def percent(share):
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def engineering(row):
    parts = []
    if "flops_per_s" in row:
        parts.append(f"{row['flops_per_s'] / 1e9:,.1f}")
    else:
        parts.append("")
    parts.append(f"{row['bytes_per_s'] / 1e9:,.1f}" if "bytes_per_s" in row else "")
    parts.append(percent(row["share_of_limit"]) if "share_of_limit" in row else "")
    return parts


def duration(seconds):
    return f"{seconds * 1e6:,.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def write_tables(report, path):
    this = report["machine"]
    text = [f"# gov's benchmarks, {report['date']}\n",
            f"{this['processor']}, {this['processors']} processors, {this.get('memory_bytes', 0) / 2**30:.0f} GiB. `{report['command']}`",
            "\nShares are of the limits that the same process measured." + (" Small sizes: no figure here means anything.\n"
                                                                            if report["quick"] else "\n")]
    models = [model for model in report.get("models", []) if not model.get("failed")]
    for model in models:
        text.append(f"## {described(model)}\n")
        text.append(f"`gov bench {' '.join(model['options'])}`, backend {model['backend']}, {model['threads']} threads; weights "
                    f"{model['weight_bytes'] / 1e9:.2f} GB, peak {model['peak_rss_bytes'] / 1e9:.2f} GB; limits: read "
                    f"{model['limit_read_bytes_per_s'] / 1e9:.1f} GB/s, arithmetic {model['limit_flops_per_s'] / 1e9:,.0f} GFLOP/s\n")
        rows = []
        for row in model["rows"]:
            share, limit = limiting_share(row)
            peers = "; ".join(f"{peer['program']} {speed_of(peer)}" + (f" ({percent(peer['share_of_limit'])})"
                              if "share_of_limit" in peer else "") for peer in peers_of(report, model, row))
            rows.append([work_of(row), speed_of(row), f"{percent(share)} ({limit})", peers])
        text.append(table(["work", "gov", "of the limit", "elsewhere (share of that machine's limit)"], rows))
    for model in report.get("models", []):
        if model.get("failed"):
            text.append(f"`gov bench {' '.join(model['options'])}` did not run here.\n")
    if any(peers_of(report, model, row) for model in models for row in model["rows"]):
        text.append("Elsewhere: " + report["peers"]["machine"] + ". " + report["peers"]["note"] + "\n")
    for part, title in (("modules", "Modules: one layer"), ("kernels", "Kernels")):
        for program, rows in report.get(part, {}).items():
            text.append(f"## {title}, {program}\n")
            limits = [row for row in rows if row["name"].startswith("limits/")]
            for row in limits:
                text.append(f"{row['name']}: read {row['limit_read_bytes_per_s'] / 1e9:.1f} GB/s, f32 "
                            f"{row['limit_f32_flops_per_s'] / 1e9:,.0f}, bf16 {row['limit_bf16_flops_per_s'] / 1e9:,.0f} GFLOP/s, int8 "
                            f"{row['limit_int8_ops_per_s'] / 1e9:,.0f} GOP/s\n")
            text.append(table(["", "time", "GFLOP/s", "GB/s", "of the limit"],
                              [[row["name"], duration(row["seconds"]), *engineering(row)] for row in rows if row not in limits]))
    if "compile" in report:
        text.append(f"## To compile, {report['compile']['compiler']}\n")
        rows = sorted(report["compile"]["rows"], key=lambda row: (row["kind"] != "program", -row["milliseconds"]))
        programs = sum(row["kind"] == "program" for row in rows)
        text.append(table(["", "s"], [[row["name"], f"{row['milliseconds'] / 1e3:.2f}"] for row in rows[:programs + 12]]))
    if "pytorch" in report:
        text.append(f"## PyTorch {report['pytorch']['torch']}, this machine\n")
        rows = []
        for row in report["pytorch"]["results"]:
            for key, value in row.items():
                if key not in ("work", "dtype"):
                    rows.append([f"{row['work']}, {row['dtype']}", key, f"{value:,.2f}"])
        text.append(table(["", "", ""], rows))
    path.write_text("\n".join(text))


# ---- picture ----

COLOURS = ["#1f6fb4", "#d1600a", "#2a8a3a", "#b3261e", "#7a4fa3", "#7b5a4a", "#5f6b73"]
MARKERS = {"invariant": "o", "fast": "s", "int8": "^"}
GREY = "#777777"
WHOLE = "whole model"
PEERS = {"ik_llama.cpp": "D", "llama.cpp": "v"}


def arithmetic_of(name):
    return next((part for part in name.split("/") if part in ("fast", "int8")), "invariant")


def roofs(axes, read, peaks, low, high):
    """One slope, and a ceiling for each kind of arithmetic."""
    highest = max(peaks.values())
    axes.plot([low, highest / read], [low * read / 1e9, highest / 1e9], color="black", linewidth=1.3)
    previous = 0
    for name, peak in sorted(peaks.items(), key=lambda item: item[1]):
        if peak < 1.1 * previous:  # the labels would lie on each other
            continue
        previous = peak
        axes.plot([peak / read, high], [peak / 1e9] * 2, color="black", linewidth=1.3)
        axes.text(high * 1.06, peak / 1e9, f"{name}\n{peak / 1e9:,.0f}", ha="left", va="center", fontsize=8)
    axes.annotate(f"read {read / 1e9:.1f} GB/s", (low, low * read / 1e9), xytext=(8, 4), textcoords="offset points", ha="left",
                  va="bottom", fontsize=8, rotation=0, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85})


def style(axes, title, x, y):
    axes.set_title(title, fontsize=11, loc="left", fontweight="bold")
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(True, which="major", color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def roofline(axes, title, points, read, peaks, legend_columns):
    """points: (family, arithmetic, flops per byte, flops per s, from memory)."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter("")
    xs, ys = [point[2] for point in points], [point[3] / 1e9 for point in points]
    low, high = min(xs) / 2, max(max(xs), max(peaks.values()) / read) * 3
    bottom = max(min(ys) / 3, min(low * read / 1e9, min(ys) / 1.5))
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, max(max(peaks.values()) / 1e9, max(ys)) * 2.2)
    roofs(axes, read, peaks, max(low, bottom * 1e9 / read), high)
    families = list(dict.fromkeys(point[0] for point in points))
    colours = {family: "black" if family == WHOLE else COLOURS[i % len(COLOURS)] for i, family in enumerate(families)}
    for family, arithmetic, intensity, speed, from_memory in points:
        axes.plot(intensity, speed / 1e9, MARKERS[arithmetic], color=colours[family], markersize=7 if family == WHOLE else 5.5, alpha=0.85,
                  markerfacecolor=colours[family] if from_memory else "white", markeredgewidth=1.2)
    handles = [axes.plot([], [], "o", color=colour, label=family)[0] for family, colour in colours.items()]
    for arithmetic in MARKERS:
        if any(point[1] == arithmetic for point in points):
            handles.append(axes.plot([], [], MARKERS[arithmetic], color=GREY, label=f"arithmetic {arithmetic}")[0])
    if not all(point[4] for point in points):
        handles.append(axes.plot([], [], "o", color=GREY, markerfacecolor="white", label="hollow: data from caches")[0])
    axes.legend(handles=handles, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncol=legend_columns, frameon=False,
                handletextpad=0.3, columnspacing=1.2)
    style(axes, title, "floating-point operations per byte of weights, keys and values", "GFLOP/s")


def best_backend(rows):
    """The tag that has the most rows with another arithmetic than invariant, or the last one."""
    tags = list(dict.fromkeys(row["name"].split("/")[1] for row in rows))
    return max(tags, key=lambda tag: (sum(arithmetic_of(row["name"]) != "invariant" for row in rows
                                          if f"/{tag}/" in row["name"]), tags.index(tag)))


def kernel_points(report):
    rows = [row for program in ("bench_kernel_matmul", "bench_kernel_attention")
            for row in report.get("kernels", {}).get(program, [])
            if "flops_per_s" in row and not row["name"].endswith("/threads:2")]
    if not rows:
        return [], ""
    tag = best_backend(rows)
    points = []
    for row in rows:
        parts = row["name"].split("/")
        if parts[1] != tag:
            continue
        family = f"product, {parts[2]} weights" if parts[0] == "matmul" else "attention"
        points.append((family, arithmetic_of(row["name"]), row["flops_per_s"] / row["bytes_per_s"], row["flops_per_s"],
                       "limit_read_bytes_per_s" in row))
    return points, tag


def limits_of(report, part):
    """The read limit, and the peaks by name, from the rows "limits/threads:<n>" of the part's programs."""
    rows = [row for rows in report[part].values() for row in rows if row["name"].startswith("limits/")]
    peaks = {name: max(row[key] for row in rows) for name, key in (
        ("f32", "limit_f32_flops_per_s"), ("bf16", "limit_bf16_flops_per_s"), ("int8", "limit_int8_ops_per_s"))}
    return max(row["limit_read_bytes_per_s"] for row in rows), {name: peak for name, peak in peaks.items() if peak > 0}


def module_points(report):
    points, rows = [], []
    for program_rows in report.get("modules", {}).values():
        for row in program_rows:
            if "/cache_f32/" in row["name"] or row["name"].startswith("limits/"):
                continue  # beside bf16 they would hide each other
            points.append((row["name"].split("/")[0].replace("_", " "), arithmetic_of(row["name"]),
                           row["flops_per_s"] / row["bytes_per_s"], row["flops_per_s"], True))
            rows.append(row)
    return points, rows


def label_of(name):
    """attention_layer/avx512/bf16/cache_bf16/fast/decode_behind_512 without what all rows share."""
    parts = name.split("/")
    module, size = parts[0].replace("_", " "), parts[-1].replace("_", " ")
    if size.isdigit():
        size += " row" if size == "1" else " rows"
    return f"{module}, {parts[2]}, {size}".replace("decode behind", "behind")


def shares(axes, title, rows, labels, groups):
    rows, labels, groups = rows[::-1], labels[::-1], groups[::-1]
    colours = {}
    for group in reversed(groups):
        colours.setdefault(group, COLOURS[len(colours) % len(COLOURS)])
    axes.barh(range(len(rows)), [100 * row["share_of_limit"] for row in rows], height=0.65, color=[colours[group] for group in groups])
    axes.set_yticks(range(len(rows)), labels)
    axes.set_xlim(0, max(100, *(105 * row["share_of_limit"] for row in rows)))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    for i, row in enumerate(rows):
        axes.text(100 * row["share_of_limit"] + 1, i, f"{100 * row['share_of_limit']:.0f}", va="center", fontsize=7.5)
    style(axes, title, "% of the limit that the work meets first", "")
    axes.tick_params(axis="y", labelsize=7.5, length=0)
    axes.grid(False, axis="y")


def module_shares(axes, rows):
    policy = "fast" if any(arithmetic_of(row["name"]) == "fast" for row in rows) else "invariant"
    chosen = [row for row in rows if arithmetic_of(row["name"]) == policy]
    shares(axes, f"Share of the limit: modules, {policy}, all threads", chosen, [label_of(row["name"]) for row in chosen],
           [row["name"].split("/")[0] for row in chosen])


def kernel_shares(axes, report, tag):
    """Products with 2880 x 2880 weights: the fastest exact arithmetic for each format and number of rows."""
    chosen = {}
    for row in report["kernels"].get("bench_kernel_matmul", []):
        parts = row["name"].split("/")
        if len(parts) > 3 and parts[1] == tag and arithmetic_of(row["name"]) != "int8" and ("2880x2880" in parts or report["quick"]):
            key = (parts[2], int(parts[-1]))
            if key not in chosen or row["seconds"] < chosen[key]["seconds"]:
                chosen[key] = row
    if not chosen:
        axes.set_axis_off()
        return
    labels = [f"{form}, {rows} row{'s' if rows > 1 else ''}, {arithmetic_of(row['name'])}" for (form, rows), row in chosen.items()]
    shape = "products" if report["quick"] else "products, 2880 x 2880"
    shares(axes, f"Share of the limit: {shape}, {tag}, one thread", list(chosen.values()), labels,
           [form for form, _ in chosen])


def throughput(axes, report, models, key, title, x, works):
    """Rows of the models along one key, the others at their first value; peers as hollow markers."""
    drawn, colour = [], 0
    seen = set()
    for model in models:
        for work in works:
            rows = [row for row in model["rows"] if row["work"] == work]
            if not rows:
                continue
            first = rows[0]
            held = [other for other in ("tokens", "depth", "batch") if other != key]
            line = [row for row in rows if all(row[other] == first[other] for other in held)]
            points = sorted({row[key]: row["tokens_per_s"] for row in line}.items())
            if len(points) < 2:
                continue
            name = f"{work}, {model['storage']}, {model['arithmetic']}"
            axes.plot([point[0] for point in points], [point[1] for point in points], MARKERS[model["arithmetic"]] + "-",
                      color=COLOURS[colour % len(COLOURS)], label=name, markersize=5)
            drawn += [point[1] for point in points]
            for peer in report["peers"]["rows"]:
                fits = (peer["work"] == work and peer["storage"] == model["storage"] and "GptOss20b" in model["model"]
                        and all(peer.get(other, first[other]) == first[other] for other in held))
                mark = (peer["program"], peer["work"], peer["storage"], peer.get(key))
                if fits and key in peer and mark not in seen:
                    seen.add(mark)
                    axes.plot(peer[key], peer["tokens_per_s"], PEERS[peer["program"]], color=COLOURS[colour % len(COLOURS)],
                              markerfacecolor="white", markersize=6)
                    drawn.append(peer["tokens_per_s"])
            colour += 1
    if not drawn:
        axes.set_axis_off()
        return
    style(axes, title, x, "tokens/s")
    axes.set_yscale("log")
    axes.set_ylim(min(drawn) / 1.6, max(drawn) * 1.6)
    ticks = [tick for tick in (m * 10 ** e for e in range(-1, 7) for m in (1, 2, 5)) if min(drawn) / 1.6 <= tick <= max(drawn) * 1.6]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    if key == "depth":
        axes.set_xscale("symlog", linthresh=1024, linscale=0.5)
    else:
        axes.set_xscale("log", base=2)
    values = sorted({row[key] for model in models for row in model["rows"] if row["work"] in works})
    axes.set_xticks(values, [f"{value:,}" for value in values])
    axes.minorticks_off()
    for program in sorted({mark[0] for mark in seen}):
        axes.plot([], [], PEERS[program], color=GREY, markerfacecolor="white", markersize=6,
                  label=f"{program}, elsewhere, same storage")
    axes.legend(fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncol=1, frameon=False)


def draw(report, path):
    try:
        import matplotlib
    except ImportError:
        print("report.py: no picture, as there is no matplotlib (pip install matplotlib)", file=sys.stderr)
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(15, 16.5), dpi=110)
    upper = figure.add_gridspec(1, 2, wspace=0.2, left=0.055, right=0.955, top=0.93, bottom=0.665)
    middle = figure.add_gridspec(1, 2, wspace=0.3, left=0.135, right=0.985, top=0.565, bottom=0.335)
    lower = figure.add_gridspec(1, 3, wspace=0.22, left=0.055, right=0.985, top=0.275, bottom=0.115)
    models = [model for model in report.get("models", []) if not model.get("failed")]
    points, tag = kernel_points(report)
    if points:
        roofline(figure.add_subplot(upper[0]), f"Kernels, {tag}, one thread", points, *limits_of(report, "kernels"), 3)
        kernel_shares(figure.add_subplot(middle[1]), report, tag)
    points, rows = module_points(report)
    if points:
        tag = rows[0]["name"].split("/")[1]
        for model in models:
            for row in model["rows"]:
                if "GptOss20b" in model["model"]:
                    points.append((WHOLE, model["arithmetic"], row["flops"] / row["bytes"], row["flops"] / seconds_of(row), True))
        roofline(figure.add_subplot(upper[1]), f"Modules and whole models, {tag}, all threads", points,
                 *limits_of(report, "modules"), 4)
        module_shares(figure.add_subplot(middle[0]), rows)
    panels = [("batch", "Decoding, by batch", "sequences at once", ["decode"]),
              ("depth", "Decoding, by context", "tokens in the cache before", ["decode"]),
              ("tokens", "Prefill, by length of the prompt", "tokens of the prompt", ["prefill"])]
    for i, (key, title, x, works) in enumerate(panels):
        throughput(figure.add_subplot(lower[i]), report, models, key, title, x, works)
    this = report["machine"]
    figure.suptitle(f"gov on {this['processor']}, {this['processors']} processors, {this.get('memory_bytes', 0) / 2**30:.0f} GiB, "
                    f"{report['date']}" + ("   (quick run: not figures)" if report["quick"] else ""), fontsize=13, x=0.06, ha="left", y=0.975)
    figure.text(0.06, 0.952, "Limits are measured in the same processes as the rows. \"Elsewhere\": "
                + report["peers"]["machine"] + ".", fontsize=8.5, color="#444444")
    figure.savefig(path)
    pyplot.close(figure)


def seconds_of(row):
    ordered = sorted(row["repetitions_s"])
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build" / "test", help="build folder (build/test)")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("."), help="folder for report.json, .md and .png (.)")
    parser.add_argument("--from", dest="source", type=pathlib.Path, help="an earlier report.json, of which only the parts that --only names are measured again")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--only", type=lambda text: text.split(","), help="of " + ",".join(PARTS) + " (all)")
    parser.add_argument("--model", action="append", type=str.split, metavar="OPTIONS",
                        help="options of gov bench, instead of the list in this file; may be given again")
    parser.add_argument("--threads", type=int, default=0, help="of modules and models (all)")
    parser.add_argument("--repetitions", type=int, default=3, help="of each kernel and module (3); medians")
    parser.add_argument("--min-time", type=float, default=0.1, help="seconds of each of them (0.1)")
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--pytorch", action="store_true", help="run compare_pytorch.py too")
    arguments = parser.parse_args()
    if arguments.only is None:
        arguments.only = [] if arguments.source else list(PARTS)
    for part in arguments.only:
        if part not in PARTS:
            parser.error(f"--only: {part} is none of {', '.join(PARTS)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.source:
        report = json.loads(arguments.source.read_text())
    else:
        report = {"date": datetime.date.today().isoformat(), "quick": arguments.quick, "machine": machine(),
                  "command": "python3 benchmarks/report.py" + (" --quick" if arguments.quick else ""),
                  "peers": json.loads((HERE / "peers.json").read_text())}
    if arguments.only or arguments.pytorch:
        if not (arguments.build / "bin").is_dir():
            parser.error(f"--build: there is no {arguments.build / 'bin'}")
        path = arguments.output / "report.json"
        measure(report, arguments, lambda: path.write_text(json.dumps(report, indent=1) + "\n"))
    write_tables(report, arguments.output / "report.md")
    draw(report, arguments.output / "report.png")
    if report.get("failed"):
        sys.exit("failed: " + ", ".join(report["failed"]))


if __name__ == "__main__":
    main()
