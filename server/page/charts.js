// Small line charts of the last minute, on canvas. Their numbers are in the text beside them.
const POINTS = 240;

export class Chart {
  constructor(canvas, colours, floor) {
    this.canvas = canvas;
    this.colours = colours;
    this.floor = floor;
    this.lines = colours.map(() => []);
  }
  add(...values) {
    values.forEach((v, i) => {
      const line = this.lines[i];
      line.push(v);
      if (line.length > POINTS) line.shift();
    });
    this.draw();
  }
  draw() {
    const c = this.canvas, scale = devicePixelRatio || 1, w = c.clientWidth, h = c.clientHeight;
    if (!w) return;
    if (c.width !== Math.round(w * scale)) { c.width = Math.round(w * scale); c.height = Math.round(h * scale); }
    const g = c.getContext('2d'), style = getComputedStyle(c);
    const top = Math.max(this.floor, ...this.lines.flat()) * 1.1;
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, w, h);
    this.lines.forEach((line, k) => {
      if (line.length < 2) return;
      const x = i => w - (line.length - 1 - i) * w / (POINTS - 1), y = v => h - 2 - v / top * (h - 5);
      g.beginPath();
      line.forEach((v, i) => (i ? g.lineTo(x(i), y(v)) : g.moveTo(x(i), y(v))));
      g.strokeStyle = style.getPropertyValue(this.colours[k]);
      g.lineWidth = 1.8;
      g.lineJoin = 'round';
      g.stroke();
      g.lineTo(w, h);
      g.lineTo(x(0), h);
      g.globalAlpha = 0.12;
      g.fillStyle = g.strokeStyle;
      g.fill();
      g.globalAlpha = 1;
    });
  }
}
