"""Times OpenCV's DNN module on an ONNX file in fp32.
usage: opencv_time.py FILE.onnx WIDTHxHEIGHT THREADS SECONDS"""
import sys

import cv2
import numpy as np

from timing import measure, report

path, size, threads, seconds = sys.argv[1:]
cv2.setNumThreads(int(threads))
width, height = map(int, size.split("x"))
net = cv2.dnn.readNetFromONNX(path)
x = np.random.default_rng(0).random((1, 3, height, width), np.float32)
names = net.getUnconnectedOutLayersNames()


def run():
    net.setInput(x)
    net.forward(names)


report(measure(run, float(seconds)))
