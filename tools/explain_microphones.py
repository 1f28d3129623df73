#!/usr/bin/env python3
"""Does a microphone make an interviewee? P(interview) of ten speakers as they are, and with their
microphones greyed. Boxes drawn by hand; the first four pictures are of the test split. usage: VEIL_DATA=FOLDER explain_microphones.py [VEIL]
[more options of veil explain]"""
import json
import os
import subprocess
import sys

# picture, box of the microphones x y w h, middle of the speaker's face; px
PICTURES = [
    ("train/01/02882.webp", (45, 142, 58, 110), (108, 102)),
    ("train/01/03780.webp", (49, 320, 360, 80), (210, 183)),
    ("train/01/05111.webp", (133, 140, 127, 183), (112, 104)),
    ("train/02/05481.webp", (157, 219, 132, 88), (185, 83)),
    ("train/00/00479.webp", (144, 192, 256, 155), (277, 87)),
    ("train/00/00628.webp", (27, 261, 311, 188), (164, 169)),
    ("train/00/00916.webp", (299, 288, 103, 161), (232, 150)),
    ("train/00/01407.webp", (187, 188, 140, 132), (162, 131)),
    ("train/00/01441.webp", (160, 183, 88, 164), (185, 88)),
    ("train/00/01530.webp", (221, 398, 51, 51), (161, 337)),
]


def interview(veil, picture, face, grey, options):
    """P(interview) of the face around a point."""
    done = subprocess.run([veil, "explain", picture, "--json", "-", "--class", "interview",
                           *(["--grey", ",".join(map(str, grey))] if grey else []), *options],
                          stdout=subprocess.PIPE, check=True)
    for f in json.loads(done.stdout)["faces"]:
        x, y, w, h = f["box"]
        if x <= face[0] <= x + w and y <= face[1] <= y + h:
            return f["interview"]
    return None


def main():
    data = os.environ["VEIL_DATA"]
    veil = sys.argv[1] if len(sys.argv) > 1 else "build/cli/veil"
    rows = []
    print("picture                 as it is  no microphone")
    for name, (x, y, w, h), face in PICTURES:
        p = [interview(veil, os.path.join(data, name), face, g, sys.argv[2:])
             for g in (None, (x, y, w, h))]
        print(f"{name:22} " + "  ".join("not found" if v is None else f"{v:9.2f}" for v in p))
        if None not in p:
            rows.append(p)
    means = [sum(c) / len(rows) for c in zip(*rows)] if rows else []
    print(f"mean of {len(rows):2}             " + "  ".join(f"{m:9.2f}" for m in means))


if __name__ == "__main__":
    main()
