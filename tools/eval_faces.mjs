// An independent face detector over a video: SSD MobileNet of @vladmandic/face-api, on tfjs's wasm
// backend. Prints a JSON line a frame: {"frame": n, "faces": [[x, y, w, h, score], ...]} in px.
// usage: node eval_faces.mjs NODE_MODULES FACE_API VIDEO EVERY [MIN_SCORE]
import { spawn, spawnSync } from 'node:child_process';
import Module, { createRequire } from 'node:module';
import path from 'node:path';

const [modules, api, video, everyText, minText] = process.argv.slice(2);
if (!video || !(Number(everyText) >= 1)) {
  console.error('usage: node eval_faces.mjs NODE_MODULES FACE_API VIDEO EVERY [MIN_SCORE]');
  process.exit(2);
}
const every = Number(everyText);
const minConfidence = Number(minText || 0.5);
const require = createRequire(path.join(path.resolve(modules), 'x.js'));

// face-api asks for the whole of tfjs; its core and one backend are enough, with the operations as
// methods of the tensors, which face-api uses.
const core = require('@tensorflow/tfjs-core');
require('@tensorflow/tfjs-backend-cpu');
const wasm = require('@tensorflow/tfjs-backend-wasm');
const tensor = core.Tensor.prototype;
for (const [name, op] of Object.entries(core)) {
  if (typeof op === 'function' && /^[a-z]/.test(name) && !(name in tensor)) {
    tensor[name] = function (...rest) { return op(this, ...rest); };
  }
}
for (const n of [1, 2, 3, 4, 5]) {
  tensor[`as${n}D`] = function (...shape) { return core.reshape(this, n === 1 ? [this.size] : shape); };
}
tensor.asScalar = function () { return core.reshape(this, []); };
tensor.toFloat = function () { return core.cast(this, 'float32'); };
tensor.toInt = function () { return core.cast(this, 'int32'); };
const load = Module._load;
Module._load = function (name, ...rest) {
  if (name === '@tensorflow/tfjs') return core;
  if (name === '@tensorflow/tfjs-backend-wasm') return wasm;
  return load.call(this, name, ...rest);
};
const faceapi = require(path.resolve(api, 'dist/face-api.node-wasm.js'));

wasm.setWasmPaths(path.join(path.resolve(modules), '@tensorflow/tfjs-backend-wasm/dist/'));
await core.setBackend('wasm');
await core.ready();
await faceapi.nets.ssdMobilenetv1.loadFromDisk(path.resolve(api, 'model'));
const options = new faceapi.SsdMobilenetv1Options({ minConfidence, maxResults: 50 });

const probe = spawnSync('ffprobe', ['-v', 'error', '-select_streams', 'v:0', '-show_entries',
  'stream=width,height', '-of', 'csv=p=0', video], { encoding: 'utf8' });
const [width, height] = (probe.stdout || '').trim().split(',').map(Number);
if (!width || !height) {
  console.error(`eval_faces: ${video} cannot be read`);
  process.exit(1);
}
// The picture goes through whole and as two overlapping halves, so that small faces count too.
const tiles = [[0, 0, width, height], [0, 0, height, height], [width - height, 0, height, height],
  [Math.floor((width - height) / 2), 0, height, height]].filter((t) => width > height || t[2] === width);

async function detect(rgb) {
  const image = core.tensor3d(rgb, [height, width, 3], 'int32');
  const found = [];
  for (const [x, y, w, h] of tiles) {
    const part = core.slice(image, [y, x, 0], [h, w, 3]);
    for (const d of await faceapi.detectAllFaces(part, options)) {
      const b = d.box;
      found.push([b.x + x, b.y + y, b.width, b.height, d.score]);
    }
    core.dispose(part);
  }
  core.dispose(image);
  found.sort((a, b) => b[4] - a[4]);
  const iou = (a, b) => {
    const w = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
    const h = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
    return w > 0 && h > 0 ? w * h / (a[2] * a[3] + b[2] * b[3] - w * h) : 0;
  };
  return found.filter((f, i) => !found.slice(0, i).some((g) => iou(f, g) > 0.4));
}

const size = width * height * 3;
const ff = spawn('ffmpeg', ['-v', 'error', '-nostdin', '-noautorotate', '-i', video, '-vf',
  `select='not(mod(n,${every}))'`, '-fps_mode', 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-'],
{ stdio: ['ignore', 'pipe', 'inherit'] });
let chunks = [];
let have = 0;
let frame = 0;
for await (const chunk of ff.stdout) {
  chunks.push(chunk);
  have += chunk.length;
  while (have >= size) {
    const all = Buffer.concat(chunks);
    const faces = await detect(new Uint8Array(all.subarray(0, size)));
    console.log(JSON.stringify({ frame, faces: faces.map((f) => f.map((v) => Math.round(v * 1000) / 1000)) }));
    chunks = [all.subarray(size)];
    have -= size;
    frame += every;
  }
}
if (frame === 0) {
  console.error(`eval_faces: no frame in ${video}`);
  process.exit(1);
}
