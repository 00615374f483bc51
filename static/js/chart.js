// Line charts: <div data-chart="loss" data-url="….json" data-live="#job-live"></div>
// The URL answers {"series": [{"name": "train_loss", "points": [[step, value], …], "measured": n}, …]}.
// Training series are drawn smoothed, validation series as points joined by lines; a series whose
// points stand for more measured ones (the lowest and highest of each stretch) is drawn as it is. With
// data-live the chart fetches again at every "update" event of that element, and is redrawn without
// losing the zoom.
(() => {
  const HEIGHT = 260;
  const NAMES = { train_loss: "train", validation_loss: "validation", eval_loss: "validation" };
  const PALETTE = ["--chart-train", "--chart-validation", "--good", "--wait", "--bad"];
  const uplotUrl = document.currentScript.dataset.uplot;
  let uplotReady = null;

  function loadUplot() {
    uplotReady ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = uplotUrl;
      script.onload = resolve;
      script.onerror = () => reject(new Error("The chart library did not load."));
      document.head.append(script);
    });
    return uplotReady;
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function isValidation(name) {
    return /valid|eval|val_/.test(name);
  }

  function isThinned(one) {
    return one.measured > one.points.length;
  }

  function label(name) {
    return NAMES[name] ?? name.replaceAll("_", " ");
  }

  // Exponential smoothing with bias correction; the first points are not pulled towards zero.
  function smoothed(values, weight) {
    let mean = 0;
    let seen = 0;
    return values.map((value) => {
      if (value == null) return null;
      mean = mean * weight + value * (1 - weight);
      seen += 1;
      return mean / (1 - weight ** seen);
    });
  }

  // The more points, the more of them one smoothed value averages: a twentieth of all, 20 at most.
  function weightFor(points) {
    return 1 - 1 / Math.min(20, Math.max(1, points / 20));
  }

  // uPlot wants one shared, sorted x and one array per series with null where there is no point.
  function columns(series) {
    const steps = [...new Set(series.flatMap((one) => one.points.map(([step]) => step)))];
    steps.sort((a, b) => a - b);
    const place = new Map(steps.map((step, index) => [step, index]));
    const rows = series.map((one) => {
      const row = new Array(steps.length).fill(null);
      for (const [step, value] of one.points) row[place.get(step)] = value;
      const many = one.points.length > 20 && !isValidation(one.name) && !isThinned(one);
      return many ? smoothed(row, weightFor(one.points.length)) : row;
    });
    return [steps, ...rows];
  }

  function options(element, series) {
    const axis = { stroke: colour("--chart-axis"), grid: { stroke: colour("--chart-grid") } };
    return {
      width: element.clientWidth,
      height: HEIGHT,
      scales: { x: { time: false } },
      axes: [axis, { ...axis, size: 56 }],
      series: [
        { label: "step" },
        ...series.map((one, index) => ({
          label: label(one.name),
          stroke: colour(PALETTE[index % PALETTE.length]),
          width: 2,
          spanGaps: true,
          points: { show: !isThinned(one) && (isValidation(one.name) || one.points.length < 2), size: 6 },
          value: (_, value) => (value == null ? "–" : value.toPrecision(4)),
        })),
      ],
    };
  }

  function note(element, text) {
    element.replaceChildren(Object.assign(document.createElement("p"), { className: "chart-note", textContent: text }));
    element.lathePlot = null;
  }

  function draw(element, series) {
    const shown = series.filter((one) => one.points.length > 0);
    if (shown.length === 0) return note(element, "No measurements yet. The curve appears with the first steps.");
    const data = columns(shown);
    const shape = shown.map((one) => one.name).join();
    if (element.lathePlot && element.latheShape === shape) {
      element.lathePlot.setData(data);
      return undefined;
    }
    element.lathePlot?.destroy();
    element.replaceChildren();
    element.latheShape = shape;
    element.lathePlot = new window.uPlot(options(element, shown), data, element);
    explain(element, shown);
    describe(element, shown);
    return undefined;
  }

  function explain(element, series) {
    const thinned = series.filter(isThinned);
    if (thinned.length === 0) return;
    const words = thinned.map((one) => `${one.points.length.toLocaleString("en")} of ${one.measured.toLocaleString("en")} (${label(one.name)})`);
    const text = `Drawn: the lowest and highest of every stretch, ${words.join(", ")}.`;
    element.append(Object.assign(document.createElement("p"), { className: "chart-note", textContent: text }));
  }

  // What a screen reader is told: the last value of each line.
  function describe(element, series) {
    const last = series.map((one) => `${label(one.name)} ${one.points.at(-1)[1].toPrecision(3)}`);
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", `${element.dataset.chart}: ${last.join(", ")}`);
  }

  async function refresh(element) {
    if (!element.isConnected || element.latheBusy) {
      element.latheAgain = element.latheBusy;
      return;
    }
    element.latheBusy = true;
    try {
      const [answer] = await Promise.all([
        fetch(element.dataset.url, { headers: { Accept: "application/json" } }),
        loadUplot(),
      ]);
      if (!answer.ok) throw new Error(`The measurements did not load (${answer.status}).`);
      element.latheSeries = (await answer.json()).series;
      draw(element, element.latheSeries);
    } catch (error) {
      if (!element.lathePlot) note(element, error.message);
    } finally {
      element.latheBusy = false;
      if (element.latheAgain) {
        element.latheAgain = false;
        refresh(element);
      }
    }
  }

  function redrawFromScratch(element) {
    element.latheShape = null;
    if (element.latheSeries && window.uPlot) draw(element, element.latheSeries);
  }

  const sizes = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      if (target.lathePlot && contentRect.width > 0) {
        target.lathePlot.setSize({ width: contentRect.width, height: HEIGHT });
      }
    }
  });

  function start(root) {
    for (const element of root.querySelectorAll("[data-chart][data-url]")) {
      if (element.latheStarted) continue;
      element.latheStarted = true;
      sizes.observe(element);
      if (element.dataset.live) {
        document.querySelector(element.dataset.live)?.addEventListener("update", () => refresh(element));
      }
      refresh(element);
    }
  }

  document.addEventListener("DOMContentLoaded", () => start(document));
  document.addEventListener("htmx:after:swap", () => start(document));
  document.addEventListener("lathe:theme", () => {
    for (const element of document.querySelectorAll("[data-chart]")) redrawFromScratch(element);
  });
})();
