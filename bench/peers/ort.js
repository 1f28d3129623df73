// Times ONNX Runtime (npm onnxruntime-node, on NODE_PATH) on one network; prints least and median, ms.
// node ort.js MODEL.onnx WIDTHxHEIGHT THREADS SECONDS
const ort = require('onnxruntime-node');

async function main() {
  const [path, size, threads, seconds] = process.argv.slice(2);
  const [width, height] = size.split('x').map(Number);
  const session = await ort.InferenceSession.create(path, {
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  });
  const input = new Float32Array(3 * width * height);
  for (let i = 0; i < input.length; i++) input[i] = ((i * 2654435761) >>> 13 & 255) / 255;
  const feeds = {};
  feeds[session.inputNames[0]] = new ort.Tensor('float32', input, [1, 3, height, width]);
  const times = [];
  const end = performance.now() + 1000 * Number(seconds);
  while (times.length < 5 || performance.now() < end) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  times.sort((a, b) => a - b);
  console.log(JSON.stringify({ least_ms: times[0], p50_ms: times[times.length >> 1] }));
}

main().catch((e) => {
  console.error(e.message);
  process.exit(1);
});
