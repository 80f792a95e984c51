"""Tiny video files of every container and codec that gov/image/video_file.hpp reads, and of some that it
refuses. Run with PyAV 18.1 and numpy:

    python video_files.py [--output tests/fixtures/video]

Each frame is a flat colour (COLOURS in turn) with a row of eight blocks, black or white, on top: the bits of
the frame's number, the lowest first. So a test reads from a decoded frame which one it is. `files.txt` gives
file, codec, frames, frames a second and how many frames a colour lasts, as PyAV reads them back.
"""
import argparse
import fractions
import pathlib
import struct

import av
import numpy as np

WIDTH, HEIGHT, BLOCK = 64, 48, 8
COLOURS = [(200, 40, 40), (40, 160, 60), (50, 60, 190), (210, 190, 50), (128, 128, 128)]


def picture(number, each=1):
    rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:] = COLOURS[number // each % len(COLOURS)]
    for bit in range(8):
        rgb[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
    return rgb


def write(path, codec, frames=20, rate=12, pixels="yuv420p", options=None, mux=None, audio=False, times=None,
          space=None, full=False, each=1):
    with av.open(str(path), "w", options={"fflags": "+bitexact", **(mux or {})}) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        stream.codec_context.flags |= 1 << 23  # AV_CODEC_FLAG_BITEXACT
        stream.options = options or {}
        if space:
            stream.codec_context.colorspace = space
        if full:
            stream.codec_context.color_range = 2
        if times:
            stream.codec_context.time_base = fractions.Fraction(1, 1000)
        sound = file.add_stream("aac", rate=8000, layout="mono") if audio else None
        for number in range(frames):
            rgb = picture(number, each)
            if pixels == "yuva420p":
                rgb = np.dstack([rgb, np.full((HEIGHT, WIDTH), 255 * (number % 2), np.uint8)])
            frame = av.VideoFrame.from_ndarray(rgb, "rgba" if rgb.shape[2] == 4 else "rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace=space, dst_color_range=2 if full else 1)
            if times:
                frame.pts, frame.time_base = times[number], fractions.Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = number, fractions.Fraction(1, rate)
            file.mux(stream.encode(frame))
        if sound:
            for start in range(0, 8000, 1024):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                frame.sample_rate, frame.pts = 8000, start
                file.mux(sound.encode(frame))
            file.mux(sound.encode(None))
        file.mux(stream.encode(None))


def write_sound(path):
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as file:
        sound = file.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 8000, 0
        file.mux(sound.encode(frame))
        file.mux(sound.encode(None))


def patched(source, target, edit):
    data = bytearray(source.read_bytes())
    edit(data)
    target.write_bytes(data)


def matrix(*numbers):
    """The display matrix of the first track header: a, b, c, d in 16.16."""

    def edit(data):
        at = data.index(b"tkhd") + 4 + 40
        a, b, c, d = (round(65536 * number) for number in numbers)
        data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)

    return edit


def huge(data):
    """Sides of 60000 in the sample description."""
    at = data.index(b"avc1", data.index(b"stsd")) + 4 + 24
    data[at : at + 4] = struct.pack(">HH", 60000, 60000)


def hidden(path):
    """Makes the fifth frame one that is not shown, as those are that only others refer to."""
    with av.open(str(path)) as file:
        packet = bytes([bytes(packet) for packet in file.demux(video=0)][5])

    def edit(data):
        at = data.index(packet)
        data[at] &= ~0x10

    return edit


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "video"
    parser.add_argument("--output", type=pathlib.Path, default=default)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    x264 = {"preset": "slow", "g": "8", "bf": "2", "crf": "18", "threads": "1",
            "x264-params": "scenecut=0:b-adapt=0:sliced-threads=0"}
    vpx = {"g": "8", "threads": "1", "crf": "12", "b": "0"}
    write(folder / "h264.mp4", "libx264", options=x264, audio=True)
    write(folder / "h264_front.mp4", "libx264", options=x264, mux={"movflags": "faststart"})
    write(folder / "h264_fragments.mp4", "libx264", options=x264,
          mux={"movflags": "frag_keyframe+empty_moov+default_base_moof"})
    write(folder / "h264_open_gop.mkv", "libx264",
          options={**x264, "x264-params": "scenecut=0:b-adapt=0:open-gop=1:sliced-threads=0"})
    write(folder / "h264_refresh.mp4", "libx264",
          options={**x264, "bf": "0", "x264-params": "scenecut=0:b-adapt=0:intra-refresh=1:sliced-threads=0"})
    write(folder / "h264_709.mp4", "libx264", frames=5, options=x264, space=1)
    write(folder / "h264_full.mp4", "libx264", frames=5, options=x264, full=True)
    write(folder / "hevc.mkv", "libx265",
          options={"preset": "fast", "crf": "16",
                   "x265-params": "keyint=8:bframes=2:pools=1:frame-threads=1:log-level=none:info=0:scenecut=0"})
    write(folder / "mpeg4.mp4", "mpeg4", options={"g": "8", "qscale": "2", "bf": "2", "flags": "+qscale"})
    write(folder / "vp8.webm", "libvpx", frames=40, each=20,
          options={**vpx, "auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k", "g": "20", "arnr-maxframes": "7"})
    write(folder / "vp9.webm", "libvpx-vp9", options={**vpx, "auto-alt-ref": "1", "lag-in-frames": "10"})
    write(folder / "vp9_alpha.webm", "libvpx-vp9", frames=5, pixels="yuva420p", options={**vpx, "auto-alt-ref": "0"})
    times = [0, 40, 80, 200, 240, 500, 510, 520, 900, 1000, 1100, 1500, 1510, 1520, 2000, 2040, 2080, 2120, 2900, 3000]
    write(folder / "vp9_uneven.webm", "libvpx-vp9", options={**vpx, "lag-in-frames": "0"}, times=times)
    write(folder / "vp9_live.webm", "libvpx-vp9", options={**vpx, "lag-in-frames": "0"}, mux={"live": "1"})
    write(folder / "av1.mp4", "libsvtav1", options={"preset": "8", "crf": "20", "g": "8", "svtav1-params": "lp=1"})
    write(folder / "mjpeg.mkv", "mjpeg", frames=2, pixels="yuvj420p")
    write_sound(folder / "sound.mkv")
    front = folder / "h264_front.mp4"
    patched(folder / "vp8.webm", folder / "vp8_hidden.webm", hidden(folder / "vp8.webm"))
    patched(front, folder / "turned_90.mp4", matrix(0, 1, -1, 0))
    patched(front, folder / "mirrored.mp4", matrix(-1, 0, 0, 1))
    patched(front, folder / "turned_30.mp4", matrix(0.866, 0.5, -0.5, 0.866))
    patched(front, folder / "huge.mp4", huge)

    lines = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".mp4", ".mkv", ".webm") or path.stem in (
                "mjpeg", "mpeg4", "sound", "huge", "turned_30"):
            continue
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            rate = stream.average_rate
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
            codec = stream.codec_context.name
        for number, frame in enumerate(frames):
            read = sum((frame[4, 8 * bit + 4, 0] > 128) << bit for bit in range(8))
            if path.stem != "vp8_hidden" and read != number:
                raise RuntimeError(f"{path.name}: frame {number} shows {read}")
        lines.append(f"{path.name} {codec} {len(frames)} {rate} {20 if codec == 'vp8' else 1}")
    (folder / "files.txt").write_text("\n".join(lines) + "\n")
    versions = ", ".join(f"{name} {'.'.join(map(str, v))}" for name, v in av.library_versions.items())
    (folder / "VERSIONS.txt").write_text(f"PyAV {av.__version__}\n{versions}\nnumpy {np.__version__}\n")


if __name__ == "__main__":
    main()
