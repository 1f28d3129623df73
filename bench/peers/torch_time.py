"""Times PyTorch's eager fp32 on one of nets.py, as trained (batch norm apart).
usage: torch_time.py NAME WIDTHxHEIGHT THREADS SECONDS"""
import sys

import torch

from nets import make
from timing import measure, report

name, size, threads, seconds = sys.argv[1:]
torch.set_num_threads(int(threads))
width, height = map(int, size.split("x"))
model, x = make(name), torch.rand(1, 3, height, width)
with torch.no_grad():  # in the layout that is faster here
    found = [measure(lambda: model(x), float(seconds) / 2)]
    model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    found.append(measure(lambda: model(x), float(seconds) / 2))
report(min(found))
