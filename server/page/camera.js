// The browser's own camera as the source: recorded in small pieces, sent to the server in order.
// Nothing is shown of it here; what comes back is the hidden picture.
import { api, Problem, toast } from './net.js';
import { t } from './words.js';

const PIECE_MS = 100;
let recorder = null, stream = null;

export async function cameras() {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const list = await navigator.mediaDevices.enumerateDevices();
  return list.filter(d => d.kind === 'videoinput' && d.deviceId).map((d, i) => [d.deviceId, d.label || `${t('camera')} ${i + 1}`]);
}

export function stopCamera() {
  if (recorder && recorder.state !== 'inactive') recorder.stop();
  stream?.getTracks().forEach(track => track.stop());
  recorder = stream = null;
}

function bestType() {
  const types = ['video/webm;codecs=vp8', 'video/webm;codecs=h264', 'video/webm', 'video/mp4'];
  return types.find(type => MediaRecorder.isTypeSupported(type)) || '';
}

async function send(id, piece, type) {
  const r = await fetch(`/sources/browser/${id}`, { method: 'POST', headers: { 'Content-Type': type.split(';')[0] }, body: piece });
  if (!r.ok) throw new Problem(r.status, r.statusText);
}

export async function startCamera(deviceId) {
  stopCamera();
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) { toast(t('cam_insecure')); return; }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: {
      width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, ...(deviceId ? { deviceId } : {}) } });
  } catch {
    toast(t('no_camera'));
    return;
  }
  const type = bestType();
  let id;
  try {
    id = (await api('POST', '/sources', { browser: type || 'video/webm' })).id;
  } catch (e) {
    stopCamera();
    toast(e.message);
    return;
  }
  // One after the other: the pieces are parts of one file.
  let line = Promise.resolve();
  const mine = recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 4000000 });
  mine.ondataavailable = event => {
    if (!event.data.size) return;
    line = line.then(() => (mine === recorder || mine.state === 'inactive' ? send(id, event.data, type) : null)).catch(e => {
      if (mine === recorder) { stopCamera(); if (e.status !== 404 && e.status !== 409) toast(t('ended')); }
    });
  };
  mine.start(PIECE_MS);
}
