#!/usr/bin/env python3
"""The layers keep: arrows go down only, and the library touches nothing but its memory.

usage: layers.py SOURCE_ROOT
1. src/ calls no file, print, clock, environment or exit function of libc.
2. src/ includes only itself, include/veil.h and the C and POSIX thread headers named here.
3. src/nn and src/pix include, of the rest of src/, only cpu.h, mem.h and pool.h.
4. Everything outside src/ includes of the library only veil.h; modelbuild/ also nn/format.h.
   Tests, and benchmarks of single kernels, may look inside.
"""
import os
import re
import sys

CALLS = """printf fprintf vprintf vfprintf puts fputs putchar putc fputc perror fopen fdopen freopen
fclose fread fwrite fgets fgetc getc getchar scanf fscanf open openat creat read write close mmap
munmap remove rename unlink system popen getenv secure_getenv setenv putenv time clock
clock_gettime gettimeofday localtime gmtime nanosleep usleep sleep exit _exit _Exit quick_exit abort
atexit signal sigaction raise rand srand random""".split()
SYSTEM = """assert.h ctype.h cpuid.h errno.h float.h immintrin.h inttypes.h limits.h math.h
arm_neon.h pthread.h sched.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h
stdlib.h string.h sys/auxv.h sys/syscall.h asm/hwcap.h unistd.h""".split()
OUTSIDE = ["cli", "media", "modelbuild", "server", "plugins", "eval", "examples"]
LOW = ["cpu.h", "mem.h", "pool.h"]
LOW_DIRS = {"nn": ["nn"], "pix": ["pix"]}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
CALL = re.compile(r"(?<![\w.>])(" + "|".join(CALLS) + r")\s*\(")


def sources(root, top):
    for d, dirs, files in os.walk(os.path.join(root, top)):
        dirs.sort()
        for f in sorted(files):
            if f.endswith((".c", ".h", ".cpp")):
                yield os.path.join(d, f)


def code(text):
    """Without comments, strings and characters, lines kept."""
    return TOKEN.sub(lambda m: "\n" * m.group().count("\n") if m.group()[0] == "/" else "0", text)


def resolve(root, path, name):
    """The project file an include means, relative to root, or None."""
    for base in (os.path.dirname(path), os.path.join(root, "src"), os.path.join(root, "include")):
        f = os.path.normpath(os.path.join(base, name))
        if os.path.exists(f):
            return os.path.relpath(f, root)
    return None


def main():
    root = sys.argv[1]
    bad = []
    n = 0
    for path in sources(root, "src"):
        n += 1
        rel = os.path.relpath(path, root)
        with open(path) as f:
            text = f.read()
        plain = code(text)
        for m in CALL.finditer(plain):
            line = plain.count("\n", 0, m.start()) + 1
            bad.append(f"{rel}:{line}: the library must not call {m.group(1)}")
        for kind, name in INCLUDE.findall(text):
            if kind == "<":
                if name not in SYSTEM:
                    bad.append(f"{rel}: includes <{name}>")
                continue
            to = resolve(root, path, name)
            if to is None:
                bad.append(f'{rel}: "{name}" is not in src/ or include/')
            elif not to.startswith("src/") and to != "include/veil.h":
                bad.append(f"{rel}: includes {to}, which lies above it")
            else:
                part = rel.split("/")[1]
                if part in LOW_DIRS and to != "include/veil.h":
                    ok = to.split("/")[1] in LOW_DIRS[part] or to[4:] in LOW
                    if not ok:
                        bad.append(f"{rel}: {part}/ may not include {to}")
    for top in OUTSIDE:
        for path in sources(root, top):
            n += 1
            rel = os.path.relpath(path, root)
            with open(path) as f:
                text = f.read()
            for _, name in INCLUDE.findall(text):
                to = resolve(root, path, name)
                if to and to.startswith("src/"):
                    if top == "modelbuild" and to == "src/nn/format.h":
                        continue
                    bad.append(f"{rel}: includes {to}; of the library only veil.h is public")
    print("\n".join(bad) or f"{n} files keep the layers")
    sys.exit(1 if bad or n == 0 else 0)


main()
