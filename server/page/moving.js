// The live picture as video: fragments of H.264 through Media Source, played as close behind their end
// as they come in evenly. Says when a frame is shown, and when it cannot go on.
const FRAME_S = 0.25; // the length that the server tells of each frame
const AHEAD_S = [0.03, 0.14], JUMP_S = 0.6, SEEK_MS = 1500, KEEP_S = 10, PATIENCE_MS = 5000;

export const videoPossible = () => !!window.MediaSource?.isTypeSupported('video/mp4; codecs="avc1.42c01f"');

// The codec's name is in the head: avcC, version, profile, flags, level.
function codecIn(bytes) {
  for (let i = 0; i + 8 <= bytes.length; i++) {
    if (bytes[i] === 0x61 && bytes[i + 1] === 0x76 && bytes[i + 2] === 0x63 && bytes[i + 3] === 0x43)
      return 'avc1.' + [5, 6, 7].map(k => bytes[i + k].toString(16).padStart(2, '0')).join('');
  }
  return '';
}
function join(parts) {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) { all.set(p, at); at += p.length; }
  return all;
}

// on.shown(seconds) for each frame, on.ended() when another stream begins, on.lost() when the
// connection broke, on.failed() when this browser or server cannot do it. Returns a function that stops.
export function playVideo(video, on) {
  const source = new MediaSource(), control = new AbortController(), parts = [];
  let buffer = null, over = false, seen = false, jumped = 0, timer;

  function end(what) {
    if (over) return;
    over = true;
    clearTimeout(timer);
    control.abort();
    video.removeEventListener('error', onError);
    video.removeAttribute('src');
    video.load();
    what?.();
  }
  const onError = () => end(on.failed);
  video.addEventListener('error', onError);

  function followEnd() {
    const ranges = buffer.buffered, last = ranges.length - 1;
    if (last < 0) return;
    const newest = ranges.end(last) - FRAME_S, ahead = newest - video.currentTime;
    if (video.seeking) { // it takes long: all since the last key frame has to be decoded
      if (performance.now() - jumped > SEEK_MS) end(on.ended);
      return;
    }
    if (ahead > JUMP_S || ahead < -FRAME_S || video.currentTime < ranges.start(last)) {
      jumped = performance.now();
      video.currentTime = Math.max(ranges.start(last), newest - AHEAD_S[0]);
    }
    video.playbackRate = ahead > AHEAD_S[1] ? 1.1 : ahead < AHEAD_S[0] ? 0.95 : 1;
  }
  function feed() {
    if (over || !buffer || buffer.updating) return;
    try {
      if (parts.length) buffer.appendBuffer(join(parts.splice(0)));
      else if (buffer.buffered.length && video.currentTime - buffer.buffered.start(0) > 2 * KEEP_S) buffer.remove(0, video.currentTime - KEEP_S);
    } catch { end(on.failed); }
  }
  function take(bytes) {
    parts.push(bytes);
    if (!buffer) {
      const codec = codecIn(join(parts));
      if (!codec) return;
      buffer = source.addSourceBuffer(`video/mp4; codecs="${codec}"`);
      buffer.addEventListener('updateend', () => { if (!over) { followEnd(); feed(); } });
      video.play().catch(() => {}); // muted: it may
      timer = setTimeout(() => { if (!seen) end(on.failed); }, PATIENCE_MS);
    }
    feed();
  }
  function shown(now, frame) {
    if (over) return;
    seen = true;
    on.shown(frame.mediaTime);
    video.requestVideoFrameCallback(shown);
  }
  async function run() {
    const opened = new Promise(done => source.addEventListener('sourceopen', done, { once: true }));
    video.src = URL.createObjectURL(source);
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(shown);
    else video.addEventListener('timeupdate', () => { if (!over) { seen = true; on.shown(video.currentTime); } });
    await opened;
    URL.revokeObjectURL(video.src);
    const answer = await fetch('/video', { signal: control.signal });
    if (!answer.ok) { end(answer.status >= 500 && answer.status !== 501 ? on.lost : on.failed); return; }
    const reader = answer.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (over) return;
      if (done) { end(seen ? on.ended : on.lost); return; }
      try { take(value); } catch { end(on.failed); return; }
    }
  }
  run().catch(() => end(on.lost));
  return () => end();
}
