#!/usr/bin/env python3
"""Writes the pictures under internal/imagefile/testdata and, as testdata/rgb/NAME.png,
the pixels that PIL reads from each: Image.open(f).convert("RGB"), turned by
ImageOps.exif_transpose. The tests compare with them and need no Python.

usage: scripts/make-pictures.py        (Pillow with libwebp and libtiff, NumPy)
"""
import io
import os
import struct

import numpy as np
from PIL import Image, ImageOps

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "internal", "imagefile", "testdata")
W, H = 23, 17


def scene(w=W, h=H):
    """A few edges, a gradient and some noise."""
    y, x = np.mgrid[0:h, 0:w]
    rng = np.random.default_rng(1)
    a = np.stack([x * 255 // w, y * 255 // h, (x + y) * 9 % 256], -1)
    a[3:9, 4:12] = (220, 30, 40)
    a[8:14, 9:20] = (20, 60, 230)
    return np.clip(a + rng.integers(-12, 13, a.shape), 0, 255).astype(np.uint8)


def veiled(w=W, h=H):
    """The scene with every transparency, colour under the full one too."""
    alpha = np.linspace(0, 255, w * h).astype(np.uint8).reshape(h, w)
    alpha[:4] = 0
    return np.dstack([scene(w, h), alpha])


def save(name, im, **how):
    im.save(os.path.join(HERE, name), **how)


def raw(name, data):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data)


def exif(n):
    e = Image.Exif()
    e[274] = n
    return e


def webp():
    rgb, rgba = Image.fromarray(scene()), Image.fromarray(veiled())
    save("lossy.webp", rgb, quality=60)
    save("lossy-fine.webp", rgb, quality=98)
    for w, h in ((1, 1), (2, 1), (1, 2), (16, 16), (17, 33), (40, 6)):
        save(f"lossy-{w}x{h}.webp", Image.fromarray(scene(w, h)), quality=80)
    save("lossless.webp", rgb, lossless=True)
    save("lossless-palette.webp", rgb.quantize(5).convert("RGB"), lossless=True)
    save("lossy-alpha.webp", rgba, quality=70, exact=True)
    save("lossless-alpha.webp", rgba, lossless=True, exact=True)
    save("gray.webp", rgb.convert("L"), quality=70)
    frames = [rgba, Image.fromarray(255 - scene()).convert("RGBA")]
    save("animated.webp", frames[0], save_all=True, append_images=frames[1:], lossless=True, exact=True)
    save("animated-lossy.webp", rgb, save_all=True, append_images=[frames[1].convert("RGB")], quality=70)
    # a first frame that leaves part of the canvas: PIL's writer makes none
    with open(os.path.join(HERE, "lossless.webp"), "rb") as f:
        vp8l = f.read()[12:]
    u24 = lambda v: struct.pack("<I", v)[:3]
    chunk = lambda name, body: name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    anmf = u24(2) + u24(1) + u24(W - 1) + u24(H - 1) + u24(100) + b"\0" + vp8l
    body = (chunk(b"VP8X", b"\x12\0\0\0" + u24(W + 9) + u24(H + 6)) + chunk(b"ANIM", b"\x10\x20\x30\xff\0\0")
            + chunk(b"ANMF", anmf))
    raw("animated-place.webp", b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)


def gif():
    rgb = Image.fromarray(scene())
    p = rgb.quantize(7)
    save("plain.gif", p, interlace=0)
    save("interlaced.gif", p, interlace=1)
    save("transparent.gif", p, transparency=2)
    save("gray.gif", rgb.convert("L"))
    save("bilevel.gif", rgb.convert("1"))
    save("animated.gif", p, save_all=True, append_images=[Image.fromarray(255 - scene()).quantize(7)], duration=80)
    # first pictures that do not fill the canvas, or leave it
    with open(os.path.join(HERE, "plain.gif"), "rb") as f:
        plain = bytearray(f.read())
    at = plain.index(b"\x2c\0\0\0\0")
    for name, canvas, place, gce in (("place.gif", (30, 21), (4, 3), b""), ("outside.gif", (20, 10), (5, 2), b""),
                                     ("place-transparent.gif", (30, 21), (4, 3), b"\x21\xf9\x04\x01\0\0\x03\0")):
        g = bytearray(plain)
        g[6:10] = struct.pack("<HH", *canvas)
        g[at + 1:at + 5] = struct.pack("<HH", *place)
        g[11] = 5  # a background, which PIL does not paint
        if gce:
            g[at:at] = gce
            g[0:6] = b"GIF89a"
        raw(name, bytes(g))
    local = bytearray(plain)  # its own table of colours
    n = 3 << ((local[10] & 7) + 1)
    table = local[13:13 + n]
    at = local.index(b"\x2c\0\0\0\0")
    local[at + 9] |= 0x80 | (local[10] & 7)
    local[at + 10:at + 10] = table
    for i in range(13, 13 + n):
        local[i] ^= 0x5a
    raw("local.gif", bytes(local))


def bmp():
    rgb = Image.fromarray(scene())
    save("rgb.bmp", rgb)
    save("rgba.bmp", Image.fromarray(veiled()))
    save("gray.bmp", rgb.convert("L"))
    save("palette.bmp", rgb.quantize(9))
    save("bilevel.bmp", rgb.convert("1"))
    with open(os.path.join(HERE, "rgb.bmp"), "rb") as f:
        b = bytearray(f.read())
    row = (3 * W + 3) // 4 * 4
    pixels = b[54:]
    b[22:26] = struct.pack("<i", -H)
    b[54:] = b"".join(pixels[i * row:(i + 1) * row] for i in reversed(range(H)))
    raw("topdown.bmp", bytes(b))
    four = bytearray(b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 64) + struct.pack("<IiiHHIIiiII", 40, 9, 3, 1, 4, 0, 0, 0, 0, 16, 0))
    four += bytes(v for i in range(16) for v in (i * 16, 255 - i * 9, i * i, 0))
    four += bytes((i * 37 + 11) % 256 for i in range(8 * 3))
    raw("four.bmp", bytes(four))


def tiff():
    rgb, rgba = Image.fromarray(scene()), Image.fromarray(veiled())
    for c in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        save(f"rgb-{c}.tif", rgb, compression=c)
    save("rgba.tif", rgba, compression="tiff_lzw")
    for c in ("raw", "tiff_lzw"):
        save(f"gray-alpha-{c}.tif", rgba.convert("LA"), compression=c)
    save("gray.tif", rgb.convert("L"))
    save("palette.tif", rgb.quantize(9))
    save("bilevel.tif", rgb.convert("1"))
    save("group3.tif", rgb.convert("1"), compression="group3")
    save("group4.tif", rgb.convert("1"), compression="group4")
    save("group4-white.tif", rgb.convert("1"), compression="group4", tiffinfo={262: 0})
    save("predictor.tif", rgb, compression="tiff_lzw", tiffinfo={317: 2})
    save("strips.tif", rgb, compression="tiff_lzw", tiffinfo={278: 5})
    save("pages.tif", rgb, save_all=True, append_images=[Image.fromarray(255 - scene())])
    # by hand, what PIL reads and does not write: big-endian; 16 bits a sample; premultiplied
    def build(order, pixels, bits, samples, extra=()):
        h, w = pixels.shape[:2]
        data = pixels.astype({8: "u1", 16: order + "u2"}[bits]).tobytes()
        tags = [(256, 3, [w]), (257, 3, [h]), (258, 3, [bits] * samples), (259, 3, [1]), (262, 3, [2 if samples > 1 else 1]),
                (273, 4, [8]), (277, 3, [samples]), (278, 3, [h]), (279, 4, [len(data)])] + [(338, 3, list(extra))] * bool(extra)
        at = 8 + len(data)
        tail, fields = b"", b""
        base = at + 2 + 12 * len(tags) + 4
        for tag, kind, values in tags:
            packed = struct.pack(order + {3: "H", 4: "I"}[kind] * len(values), *values)
            if len(packed) > 4:
                packed, tail = struct.pack(order + "I", base + len(tail)), tail + packed
            fields += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
        magic = {"<": b"II", ">": b"MM"}[order]
        return (magic + struct.pack(order + "HI", 42, at) + data + struct.pack(order + "H", len(tags)) + fields
                + b"\0\0\0\0" + tail)
    wide = scene().astype(np.uint32) * 257 ^ 0x55
    raw("rgb-big.tif", build(">", scene(), 8, 3))
    raw("rgb16.tif", build("<", wide, 16, 3))
    raw("rgb16-big.tif", build(">", wide, 16, 3))
    raw("rgba16.tif", build("<", np.dstack([wide, veiled()[..., 3:].astype(np.uint32) * 257]), 16, 4, (2,)))
    v = veiled().astype(np.uint32)
    raw("premultiplied.tif", build("<", np.dstack([v[..., :3] * v[..., 3:] // 255, v[..., 3:]]), 8, 4, (1,)))


def jpeg():
    rgb = Image.fromarray(scene())
    save("rgb.jpg", rgb, quality=90, subsampling=0)


def orientations():
    rgb = Image.fromarray(scene(13, 9))
    for n in range(1, 9):
        for ext, how in (("png", {}), ("jpg", {"quality": 92, "subsampling": 0}), ("webp", {"lossless": True})):
            save(f"turn{n}.{ext}", rgb, exif=exif(n), **how)
        save(f"turn{n}.tif", rgb, tiffinfo={274: n})
    xmp = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>')
    save("xmp6.jpg", rgb, quality=92, subsampling=0, xmp=xmp)
    save("xmp6.webp", rgb, lossless=True, xmp=xmp)
    from PIL.PngImagePlugin import PngInfo
    for name, packed in (("xmp6.png", False), ("xmp6-packed.png", True)):
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=packed)
        save(name, rgb, pnginfo=info)
    e = exif(8).tobytes()
    profile = "\nexif\n%8d\n" % len(e) + "\n".join(e.hex()[i:i + 72] for i in range(0, 2 * len(e), 72)) + "\n"
    for name, packed in (("profile8.png", False), ("profile8-packed.png", True)):
        info = PngInfo()
        info.add_text("Raw profile type exif", profile, zip=packed)
        save(name, rgb, pnginfo=info)
    save("xmp6.tif", rgb, tiffinfo={700: xmp})
    # both, and they differ: EXIF counts
    save("exif3xmp6.webp", rgb, lossless=True, exif=exif(3), xmp=xmp)


def truths():
    os.makedirs(os.path.join(HERE, "rgb"), exist_ok=True)
    for name in sorted(os.listdir(HERE)):
        path = os.path.join(HERE, name)
        if not os.path.isfile(path):
            continue
        with Image.open(path) as im:
            im = ImageOps.exif_transpose(im).convert("RGB")
        im.info = {}
        buf = io.BytesIO()
        Image.fromarray(np.asarray(im)).save(buf, "PNG")
        with open(os.path.join(HERE, "rgb", name + ".png"), "wb") as f:
            f.write(buf.getvalue())


if __name__ == "__main__":
    os.makedirs(HERE, exist_ok=True)
    for make in (webp, gif, bmp, tiff, jpeg, orientations):
        make()
    truths()
