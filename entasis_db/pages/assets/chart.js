"use strict";
// Draws each figure.chart from the JSON in it. Numbers come as text, and are shown as that text; only what is drawn
// is made a floating-point number.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const ofLine = ["accent", "warning", "unknown", "up", "down", "critical", "faint"];
  const faded = (hex) => `${hex}80`;
  const two = (n) => String(n).padStart(2, "0");

  function clock(seconds, places) {
    const at = new Date(Math.floor(seconds) * 1000);
    const day = `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
    const part = places ? (seconds % 1).toFixed(places).slice(1) : "";
    return [day, `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}${part}`];
  }

  function label(axis, slot) {
    if (axis.kind === "order") return axis.labels[slot] ?? "";
    const value = slot * axis.step;
    return axis.instants ? clock(value, axis.places)[1] : value.toFixed(axis.places);
  }

  // A scale of whole numbers: steps of the axis, or positions of bars. Round ones have the labels.
  class Steps {
    constructor(axis) { this.axis = axis; }
    options() { return this.chosen; }
    setOptions(chosen) { this.chosen = chosen; }
    preprocessData() {}
    updateFormatter() {}
    createConverterToInternalObj() { return (slot) => slot; }
    convertHorzItemToInternal(slot) { return slot; }
    key(slot) { return slot; }
    cacheKey(slot) { return slot; }
    formatHorzItem(slot) { return label(this.axis, slot); }
    formatTickmark(mark) { return label(this.axis, mark.time); }
    maxTickMarkWeight(marks) { return marks.reduce((most, mark) => (mark.weight > most.weight ? mark : most), marks[0]).weight; }
    fillWeightsForPoints(points, from) {
      const round = [10, 100, 1000, 10000, 100000];
      for (let n = from; n < points.length; n++) {
        points[n].timeWeight = round.filter((step) => points[n].time % step === 0).length;
      }
    }
  }

  function options(spec) {
    const made = {
      autoSize: true,
      layout: { background: { type: "solid", color: "transparent" }, attributionLogo: false, fontFamily: "inherit" },
      crosshair: { mode: 0 },
      timeScale: {
        timeVisible: spec.clock, secondsVisible: spec.seconds, minBarSpacing: 0.001, lockVisibleTimeRangeOnResize: true,
      },
      handleScroll: { vertTouchDrag: false },
      localization: { locale: "en-GB" },
    };
    if (spec.axis.kind === "time") {
      made.localization.timeFormatter = (t) => {
        const [day, hour] = clock(t, 0);
        return spec.clock ? `${day} ${spec.seconds ? hour : hour.slice(0, 5)}` : day;
      };
    }
    return made;
  }

  function paint(chart, drawn) {
    const [text, line, up, down] = ["text", "line", "up", "down"].map(colour);
    chart.applyOptions({
      layout: { textColor: text, panes: { separatorColor: line, separatorHoverColor: line } },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line },
    });
    for (const one of drawn) {
      if (one.role === "candles") {
        one.series.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false });
      } else if (one.role === "volume") {
        one.series.setData(one.of(faded(up), faded(down)));
      } else {
        one.series.applyOptions({ color: colour(ofLine[one.number % ofLine.length]) });
      }
    }
  }

  function blanks(spec) {
    const found = [];
    for (const [start, step, count] of spec.blanks) for (let n = 0; n < count; n++) found.push({ time: start + n * step });
    return found;
  }

  const inOrder = (rows) => rows.sort((a, b) => a.time - b.time);

  function addCandles(chart, spec, drawn, empty) {
    const format = { type: "price", precision: spec.places, minMove: 10 ** -spec.places };
    const sticks = chart.addSeries(LightweightCharts.CandlestickSeries, { priceFormat: format, priceLineVisible: false });
    sticks.setData(
      inOrder(spec.candles.map(([time, o, h, l, c]) => ({ time, open: +o, high: +h, low: +l, close: +c })).concat(empty)),
    );
    drawn.push({ role: "candles", series: sticks, name: "candles" });
    if (spec.hasVwap) {
      const vwap = chart.addSeries(LightweightCharts.LineSeries, {
        lineWidth: 1, priceFormat: format, priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false,
      });
      vwap.setData(broken(spec.candles.map((c) => [c[0], c[6]]), empty));
      drawn.push({ role: "line", series: vwap, number: 0, name: "VWAP" });
    }
    if (spec.hasVolume) {
      const volume = chart.addSeries(
        LightweightCharts.HistogramSeries,
        { priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false },
        1,
      );
      const of = (up, down) =>
        inOrder(
          spec.candles.map(([time, o, , , c, v]) => ({ time, value: +v, color: +c < +o ? down : up })).concat(empty),
        );
      drawn.push({ role: "volume", series: volume, of, name: "volume" });
      chart.panes()[0].setStretchFactor(3);
      chart.panes()[1].setStretchFactor(1);
    }
  }

  // A line goes over whitespace: the stretch that begins before it has to be drawn in no colour.
  function broken(points, empty) {
    const rows = inOrder(
      points.map(([time, value]) => (value === null ? { time } : { time, value: +value })).concat(empty),
    );
    let last = null;
    let isBroken = false;
    for (const row of rows) {
      if (row.value === undefined) {
        isBroken = true;
      } else {
        if (isBroken && last) last.color = "transparent";
        [last, isBroken] = [row, false];
      }
    }
    return rows;
  }

  function addLines(chart, spec, drawn) {
    const bottom = spec.candles.length ? 1 + Number(spec.hasVolume) : 0;
    spec.lines.forEach((line, number) => {
      const shared = {
        priceFormat: { type: "price", precision: line.places, minMove: 10 ** -line.places },
        priceLineVisible: false, lastValueVisible: false,
      };
      const add = (kind, own, rows) => {
        const series = chart.addSeries(kind, { ...shared, ...own }, bottom + line.pane);
        series.setData(rows);
        return series;
      };
      const texts = new Map(line.points);
      const known = inOrder(line.points.filter((p) => p[1] !== null).map(([time, value]) => ({ time, value: +value })));
      const named = { role: "line", number, name: line.name, texts };
      if (line.style === "bars") {
        drawn.push({ ...named, series: add(LightweightCharts.HistogramSeries, {}, known) });
        return;
      }
      const isLine = line.style === "line";
      if (isLine) {
        const series = add(LightweightCharts.LineSeries, { lineWidth: 2, crosshairMarkerVisible: false }, broken(line.points, []));
        drawn.push({ ...named, series });
      }
      if (!isLine || known.length < 300) {
        const own = { lineVisible: false, pointMarkersVisible: true, pointMarkersRadius: isLine ? 2 : 3 };
        const series = add(LightweightCharts.LineSeries, own, known);
        drawn.push(isLine ? { role: "line", number, series } : { ...named, series });
      }
    });
  }

  function legend(figure, drawn) {
    const named = drawn.filter((one) => one.role === "line" && one.name);
    if (!named.length) return;
    const list = document.createElement("div");
    list.className = "legend";
    for (const one of named) {
      const entry = document.createElement("span");
      const swatch = document.createElement("i");
      swatch.style.background = `var(--${ofLine[one.number % ofLine.length]})`;
      entry.append(swatch, one.name);
      list.append(entry);
    }
    figure.querySelector(".reading").after(list);
  }

  function reader(spec, drawn) {
    const byTime = new Map(spec.candles.map((candle) => [candle[0], candle]));
    return (slot) => {
      if (slot === undefined || slot === null) return spec.reading;
      const axis = spec.axis;
      const parts = [axis.kind === "time" ? clock(slot, 0).join(" ").replace(spec.clock ? "" : / .*/, "") : label(axis, slot)];
      const candle = byTime.get(slot);
      if (candle) {
        const [, o, h, l, c, v, w, n] = candle;
        parts.push(`open ${o}`, `high ${h}`, `low ${l}`, `close ${c}`);
        if (v !== null) parts.push(`volume ${v}`);
        if (w !== null) parts.push(`VWAP ${w}`);
        if (n !== null) parts.push(`trades ${n}`);
      } else if (spec.candles.length) {
        parts.push("no trade");
      }
      for (const one of drawn) {
        const text = one.texts?.get(slot);
        if (text !== undefined && text !== null) parts.push(`${one.name} ${text}`);
      }
      return parts.join(" · ");
    };
  }

  function draw(figure) {
    const spec = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const canvas = figure.querySelector(".canvas");
    const reading = figure.querySelector(".reading");
    const chart = spec.axis.kind === "time"
      ? LightweightCharts.createChart(canvas, options(spec))
      : LightweightCharts.createChartEx(canvas, new Steps(spec.axis), options(spec));
    const drawn = [];
    const empty = blanks(spec);
    if (spec.candles.length) addCandles(chart, spec, drawn, empty);
    if (!spec.candles.length && empty.length) {
      chart.addSeries(LightweightCharts.LineSeries, { lastValueVisible: false, priceLineVisible: false }).setData(empty);
    }
    addLines(chart, spec, drawn);
    const read = reader(spec, drawn);
    reading.textContent = read(null);
    chart.subscribeCrosshairMove((event) => { reading.textContent = read(event.time); });
    legend(figure, drawn);
    paint(chart, drawn);
    dark.addEventListener("change", () => paint(chart, drawn));
    // with a margin: at the very edge, half of a candle would be cut
    const margin = 0.5 + 0.01 * (spec.candles.length + empty.length);
    const last = spec.candles.length + empty.length - 1;
    chart.timeScale().setVisibleLogicalRange({ from: -margin, to: last + margin });
    figure.entasis = { chart, drawn, spec };
  }

  document.querySelectorAll("figure.chart").forEach(draw);
})();
