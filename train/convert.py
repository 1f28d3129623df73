"""One's own labels, YOLO text files or COCO JSON, to the train.jsonl used here.

YOLO: a folder of pictures with a .txt beside each (or in ../labels), lines of
`class cx cy w h` in shares of the picture. COCO: one JSON with images,
annotations and categories. Classes named `interview` and `background` are
kept; every other name is a face without a class, and serves detection only.
"""
import argparse
import json
from pathlib import Path

import cv2

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
KNOWN = ("background", "interview")


def row(image, w, h, faces, source, split):
    labelled = any(f["class"] for f in faces)
    return {"image": str(image), "source": source, "split": split, "labelled": labelled, "doubtful": False,
            "width": w, "height": h, "faces": faces}


def face(box, name, ignore=False):
    return {"box": [round(float(v), 2) for v in box], "ignore": bool(ignore), "class": name if name in KNOWN else None}


def from_yolo(folder, names):
    for p in sorted(Path(folder).rglob("*")):
        if p.suffix.lower() not in ENDINGS:
            continue
        img = cv2.imread(str(p))
        if img is None:
            raise SystemExit(f"cannot decode picture: {p}")
        h, w = img.shape[:2]
        beside, apart = p.with_suffix(".txt"), p.parent.parent / "labels" / (p.stem + ".txt")
        text = next((t for t in (beside, apart) if t.exists()), None)
        faces = []
        for n, line in enumerate(text.read_text().splitlines() if text else [], 1):
            v = line.split()
            if not v:
                continue
            try:
                c, (cx, cy, bw, bh) = int(v[0]), map(float, v[1:5])
                name = names[c]
            except (ValueError, IndexError):
                raise SystemExit(f"{text}:{n}: expected `class cx cy w h` with class below {len(names)}, got: {line}")
            faces.append(face(((cx - bw / 2) * w, (cy - bh / 2) * h, bw * w, bh * h), name))
        yield p, w, h, faces


def from_coco(file, images):
    d = json.load(open(file, encoding="utf-8"))
    names = {c["id"]: c["name"] for c in d["categories"]}
    faces = {}
    for a in d["annotations"]:
        faces.setdefault(a["image_id"], []).append(face(a["bbox"], names[a["category_id"]], a.get("iscrowd")))
    for i in d["images"]:
        yield Path(images) / i["file_name"], i["width"], i["height"], faces.get(i["id"], [])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind = ap.add_mutually_exclusive_group(required=True)
    kind.add_argument("--yolo", metavar="DIR", help="folder of pictures with .txt labels")
    kind.add_argument("--coco", metavar="JSON", help="COCO annotations")
    ap.add_argument("--images", default=".", help="folder of the pictures (COCO)")
    ap.add_argument("--names", default="face", help="class names in order, comma-separated (YOLO); e.g. background,interview")
    ap.add_argument("--test-share", type=float, default=0.0, help="every n-th picture into the test split, e.g. 0.1")
    ap.add_argument("--out", required=True, help="data folder to write train.jsonl into")
    a = ap.parse_args()
    rows = from_yolo(a.yolo, a.names.split(",")) if a.yolo else from_coco(a.coco, a.images)
    out, n, k = Path(a.out), 0, 0
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "train.jsonl", "w", encoding="utf-8") as f:
        for image, w, h, faces in rows:
            test = a.test_share > 0 and int((n + 1) * a.test_share) > int(n * a.test_share)
            f.write(json.dumps(row(image.resolve(), w, h, faces, "own", "test" if test else "train")) + "\n")
            n, k = n + 1, k + len(faces)
    if not n:
        raise SystemExit("no pictures found")
    print(f"{n} pictures, {k} faces in {out / 'train.jsonl'}")


if __name__ == "__main__":
    main()
