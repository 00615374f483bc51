// Line charts: <div data-chart="Loss" data-url="….json" data-live="#job-live"></div>
// The URL answers {"series": [{"name": "train_loss", "points": [[step, value], …], "measured": n}, …],
// "lines": [{"name": "TF-IDF", "value": 0.8}]}; lines are drawn level and dashed. data-tools adds
// smoothing and a logarithmic scale, data-part="loss" takes that part of an answer that holds several
// charts (those of one address share one request), data-optional keeps the card hidden while there are no points,
// data-finished says that no more will come.
// Training series are drawn smoothed, validation series as points joined by lines; a series whose
// points stand for more measured ones (the lowest and highest of each stretch) is drawn as it is. With
// data-live the chart fetches again at every "update" event of that element, and is redrawn without
// losing the zoom. data-every="15" fetches again every so many seconds. data-inline holds the answer itself instead of
// data-url. data-x="time" takes x for seconds since 1970; data-bars draws bars from zero; data-unit
// stands before ("$") or after the values.
(() => {
  const HEIGHT = 240;
  const NAMES = {
    train_loss: latheText("train"),
    validation_loss: latheText("validation"),
    eval_loss: latheText("validation"),
    validation_accuracy: latheText("validation accuracy"),
    validation_micro_f1: latheText("validation micro F1"),
    validation_rmse: latheText("validation RMSE"),
    validation_mae: latheText("validation mean error"),
    cost: latheText("cost"),
    requests: latheText("requests"),
    learning_rate: latheText("learning rate"),
    system_cpu_percent: "CPU %",
    system_gpu_percent: "GPU %",
    system_memory_gib: latheText("memory GB"),
    system_gpu_memory_gib: latheText("GPU memory GB"),
  };
  const PALETTE = ["--chart-train", "--chart-validation", "--chart-third", "--chart-fourth", "--good", "--wait", "--bad"];
  const uplotUrl = document.currentScript.dataset.uplot;
  const asked = new Map();
  let uplotReady = null;

  function loadUplot() {
    uplotReady ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = uplotUrl;
      script.onload = resolve;
      script.onerror = () => reject(new Error(latheText("The chart library did not load.")));
      document.head.append(script);
    });
    return uplotReady;
  }

  // After the theme's own colours, as many as there are lines, far apart on the colour wheel.
  function paint(index) {
    if (index < PALETTE.length) return colour(PALETTE[index]);
    return `hsl(${Math.round((index * 137.5) % 360)} 60% ${document.documentElement.classList.contains("dark") ? 65 : 42}%)`;
  }

  const asIs = (value) => value.toLocaleString("en", { maximumFractionDigits: 6 });
  // Four digits, and never 1.578e+4.
  const rounded = (value) => (Math.abs(value) >= 1e4 ? Math.round(value).toLocaleString("en") : value.toPrecision(4));

  function withUnit(element, value, digits) {
    const unit = element.dataset.unit ?? "";
    if (unit === "ms" && Math.abs(value) >= 1000) return `${digits(value / 1000)} s`;
    const text = digits(value);
    return unit === "$" ? `$${text}` : unit ? `${text} ${unit}` : text;
  }

  // Seconds as the reader's clock, or as a day in UTC where the points stand a day apart.
  function moments(element) {
    const locale = document.documentElement.lang || "en";
    const byDay = element.dataset.x === "day";
    const format = new Intl.DateTimeFormat(locale, byDay ? { day: "numeric", month: "short", timeZone: "UTC" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    return (seconds) => (seconds == null ? "" : format.format(new Date(seconds * 1000)));
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // What the legend shows while no pointer is on the chart.
  // Of bars the last that is any: after today a month has only empty days.
  function newest(plot, index) {
    const rows = plot.data.slice(1);
    const last = plot.data[0].findLastIndex((_, place) => rows.some((row) => row[place]));
    if (last >= 0 && plot.data[index][last] != null) return plot.data[index][last];
    return plot.data[index].findLast((value) => value != null) ?? null;
  }

  function isTime(element) {
    return "x" in element.dataset;
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
  function columns(element, series, lines) {
    const steps = [...new Set(series.flatMap((one) => one.points.map(([step]) => step)))];
    steps.sort((a, b) => a - b);
    if (isTime(element) && steps.length === 1) steps.push(steps[0] + 3600); // One moment has no width.
    const place = new Map(steps.map((step, index) => [step, index]));
    const rows = series.map((one) => {
      const row = new Array(steps.length).fill(null);
      for (const [step, value] of one.points) row[place.get(step)] = value;
      const many = !isTime(element) && one.points.length > 20 && !isValidation(one.name) && !isThinned(one) && element.latheSmooth !== false;
      return many ? smoothed(row, weightFor(one.points.length)) : row;
    });
    return [steps, ...rows, ...lines.map((line) => steps.map(() => line.value))];
  }

  function options(element, series, lines) {
    const axis = { stroke: colour("--chart-axis"), grid: { stroke: colour("--chart-grid") } };
    const showsBars = "bars" in element.dataset;
    const when = isTime(element) ? moments(element) : null;
    return {
      width: element.clientWidth,
      height: HEIGHT,
      scales: {
        x: { time: Boolean(when) },
        y: { distr: element.latheLog ? 3 : 1, ...(when && { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] }) },
      },
      axes: [
        when ? { ...axis, space: 80, values: (_, ticks) => ticks.map(when) } : axis,
        { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => (tick == null ? "" : withUnit(element, tick, (one) => Number(one.toPrecision(3)).toString()))) },
      ],
      series: [
        {
          label: when ? latheText("when") : series.some((one) => one.name.startsWith("system_")) ? latheText("second") : latheText("step"),
          value: (plot, moment) => when ? when(moment ?? newest(plot, 0)) : moment ?? newest(plot, 0) ?? "–",
        },
        ...series.map((one, index) => ({
          label: label(one.name),
          stroke: paint(index),
          width: 2,
          spanGaps: true,
          ...(showsBars && { fill: paint(index), width: 0, paths: window.uPlot.paths.bars({ size: [0.7] }) }),
          points: { show: !showsBars && !isThinned(one) && (isValidation(one.name) || isTime(element) || one.points.length < 2), size: 6 },
          value: (plot, at, number, place) => {
            const value = place == null ? newest(plot, number) : at;
            return value == null ? "–" : withUnit(element, value, showsBars ? asIs : rounded);
          },
        })),
        ...lines.map((line) => ({
          label: line.name,
          stroke: colour("--muted-foreground"),
          width: 1,
          dash: [6, 4],
          points: { show: false },
          value: () => line.value.toPrecision(4),
        })),
      ],
    };
  }

  function note(element, text) {
    element.replaceChildren(Object.assign(document.createElement("p"), { className: "chart-note", textContent: text }));
    element.lathePlot = null;
  }

  function nothingYet(element) {
    if ("optional" in element.dataset) return undefined;
    if (isTime(element)) return note(element, latheText("Nothing happened in this time."));
    const words = "finished" in element.dataset
      ? latheText("Nothing was measured here.")
      : latheText("The curve appears with the first steps.");
    return note(element, words);
  }

  function draw(element, series, lines = []) {
    const shown = series.filter((one) => one.points.length > 0);
    if (shown.length === 0) return nothingYet(element);
    element.closest(".card[hidden]")?.removeAttribute("hidden");
    const data = columns(element, shown, lines);
    const shape = [...shown, ...lines].map((one) => one.name).join() + element.latheLog;
    if (element.lathePlot && element.latheShape === shape) {
      element.lathePlot.setData(data);
      return undefined;
    }
    element.lathePlot?.destroy();
    element.replaceChildren();
    element.latheShape = shape;
    if ("tools" in element.dataset) element.append(tools(element));
    element.lathePlot = new window.uPlot(options(element, shown, lines), data, element);
    explain(element, shown);
    describe(element, shown);
    return undefined;
  }

  function tools(element) {
    const row = Object.assign(document.createElement("div"), { className: "chart-tools" });
    for (const [key, words, start] of [["latheSmooth", latheText("Smooth"), true], ["latheLog", latheText("Logarithmic"), false]]) {
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: element[key] ?? start });
      box.addEventListener("change", () => {
        element[key] = box.checked;
        redrawFromScratch(element);
      });
      const label = document.createElement("label");
      label.append(box, words);
      row.append(label);
    }
    return row;
  }

  function explain(element, series) {
    const thinned = series.filter(isThinned);
    if (thinned.length === 0) return;
    const words = thinned.map((one) => latheText("{points} of {measured} ({name})", {
      points: one.points.length.toLocaleString("en"),
      measured: one.measured.toLocaleString("en"),
      name: label(one.name),
    }));
    const text = latheText("Drawn: the lowest and highest of every stretch, {words}.", { words: words.join(", ") });
    element.append(Object.assign(document.createElement("p"), { className: "chart-note", textContent: text }));
  }

  // What a screen reader is told: the last value of each line.
  function describe(element, series) {
    const last = series.map((one) => `${label(one.name)} ${withUnit(element, one.points.at(-1)[1], rounded)}`);
    const canvas = element.querySelector("canvas");
    canvas?.setAttribute("role", "img");
    canvas?.setAttribute("aria-label", `${element.dataset.chart}: ${last.join(", ")}`);
  }

  // Charts that ask for the same address at the same time share the answer.
  function ask(url) {
    if (!asked.has(url)) {
      const answer = fetch(url, { headers: { Accept: "application/json" } }).then(async (response) => {
        if (response.status === 401) location.reload();
        if (!response.ok) throw new Error(latheText("The measurements did not load ({status}).", response));
        return response.json();
      });
      asked.set(url, answer.finally(() => asked.delete(url)));
    }
    return asked.get(url);
  }

  async function refresh(element) {
    if (!element.isConnected || element.latheBusy) {
      element.latheAgain = element.latheBusy;
      return;
    }
    element.latheBusy = true;
    try {
      const { inline, url, part } = element.dataset;
      const [answer] = await Promise.all([inline ? JSON.parse(inline) : ask(url), loadUplot()]);
      const { series, lines } = part ? answer[part] : answer;
      element.latheSeries = series;
      element.latheLines = lines;
      draw(element, series, lines);
      document.dispatchEvent(new CustomEvent("lathe:refreshed"));
    } catch (error) {
      const isAway = error instanceof TypeError; // The network, in words that differ by browser.
      if (isAway) document.dispatchEvent(new CustomEvent("lathe:unreachable"));
      if (!element.lathePlot) note(element, isAway
        ? latheText("The server cannot be reached. Trying again with the next update.")
        : error.message);
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
    if (element.latheSeries && window.uPlot) draw(element, element.latheSeries, element.latheLines);
  }

  const sizes = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      if (target.lathePlot && contentRect.width > 0) {
        target.lathePlot.setSize({ width: contentRect.width, height: HEIGHT });
      }
    }
  });

  function start(root) {
    for (const element of root.querySelectorAll("[data-chart][data-url], [data-chart][data-inline]")) {
      if (element.latheStarted) continue;
      element.latheStarted = true;
      sizes.observe(element);
      if (element.dataset.live) {
        document.querySelector(element.dataset.live)?.addEventListener("update", () => refresh(element));
      }
      if (element.dataset.every) setInterval(() => document.hidden || refresh(element), element.dataset.every * 1000);
      refresh(element);
    }
  }

  document.addEventListener("DOMContentLoaded", () => start(document));
  document.addEventListener("htmx:after:swap", () => start(document));
  document.addEventListener("lathe:theme", () => {
    for (const element of document.querySelectorAll("[data-chart]")) redrawFromScratch(element);
  });
})();
