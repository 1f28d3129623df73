// Times ONNX Runtime (npm onnxruntime-node) on one network: least and median of many runs.
// node ort.js MODEL.onnx WIDTHxHEIGHT THREADS RUNS   (onnxruntime-node on NODE_PATH)
const ort = require('onnxruntime-node');

async function main() {
  const [path, size, threads, runs] = process.argv.slice(2);
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
  for (let i = 0; i < Number(runs); i++) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  times.sort((a, b) => a - b);
  console.log(`onnxruntime ${path} ${size}, ${threads} thread(s): least ${times[0].toFixed(3)} ms, ` +
    `median ${times[times.length >> 1].toFixed(3)}`);
}

main().catch((e) => {
  console.error(e.message);
  process.exit(1);
});
