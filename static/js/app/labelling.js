// Labelling by keys: 1 to 9 give a label, 0 passes, Backspace takes the last one back. What was
// given stays in this browser until it is saved as a new version.
(() => {
  "use strict";
  const place = document.querySelector("[data-labelling]");
  if (!place) return;
  const facts = JSON.parse(document.getElementById("labelling-facts").textContent);
  const memory = `labelling:${facts.dataset}:${facts.version}:${facts.column}`;
  const kept = JSON.parse(localStorage.getItem(memory) || "{}");
  const labels = kept.labels || {};
  const names = [...new Set([...facts.labels, ...(kept.names || [])])];
  const passed = new Set();
  const given = [];
  let rows = [];
  let asking = null;
  let last = null; // What the last batch said, and how many labels were given before it.

  const part = (name) => place.querySelector(`[data-${name}]`);
  const say = (name, values = {}) =>
    (part("say").textContent = place.dataset[name].replace(/\{(\w+)\}/g, (_, key) => values[key]));
  const keep = () => localStorage.setItem(memory, JSON.stringify({ labels, names }));

  const post = async (address) => {
    const { column, texts } = facts;
    const answer = await fetch(address, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json",
        "X-CSRFToken": place.querySelector("[name=csrfmiddlewaretoken]").value,
      },
      body: JSON.stringify({ column, texts, labels, skipped: [...passed] }),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  };

  const showLabels = () => {
    const buttons = names.map((name, number) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "btn";
      button.dataset.variant = rows[0]?.guess === name ? "secondary" : "outline";
      button.textContent = number < 9 ? `${number + 1} · ${name}` : name;
      button.addEventListener("click", () => give(name));
      return button;
    });
    part("labels").replaceChildren(...buttons);
    part("keep").disabled = Object.keys(labels).length === 0;
  };

  const showPicture = () => {
    const picture = part("picture");
    if (!picture) return;
    const address = (row) => picture.dataset.picture.replace("/pictures/0/", `/pictures/${row}/`);
    picture.hidden = !rows.length;
    if (!rows.length) return;
    picture.src = address(rows[0].row);
    picture.alt = rows[0].text;
    if (rows[1]) new Image().src = address(rows[1].row); // Ready before its turn comes.
  };

  const show = () => {
    part("text").textContent = rows[0]?.text ?? "";
    showPicture();
    showLabels();
    if (last === null) return;
    const count = Object.keys(labels).length;
    const remaining = last.remaining - (count - last.count);
    if (rows.length) say(last.sentence, { count, remaining, model: last.model });
    else say(asking || last.isPast ? "sayWaiting" : "sayNone");
  };

  const ask = () => {
    asking ??= post(place.dataset.next)
      .then((batch) => {
        rows = batch.rows.filter((one) => !(one.row in labels) && !passed.has(one.row));
        for (const name of batch.labels) if (!names.includes(name)) names.push(name);
        const { remaining, order, model, is_asking: isAsking } = batch;
        const sentence = `say${order[0].toUpperCase()}${order.slice(1)}${isAsking ? "Asking" : ""}`;
        last = { remaining, sentence, model, count: Object.keys(labels).length, isPast: false };
        asking = null;
        show();
      })
      .catch(() => say("sayFailed"))
      .finally(() => (asking = null));
    return asking;
  };

  const forward = () => {
    rows.shift();
    keep();
    if (rows.length === 0) last.isPast = true;
    show();
    if (rows.length === 0) ask();
  };

  const give = (name) => {
    if (!rows.length) return void ask();
    given.push(rows[0]);
    labels[rows[0].row] = name;
    forward();
  };

  const pass = () => {
    if (!rows.length) return void ask();
    passed.add(rows[0].row);
    forward();
  };

  const takeBack = () => {
    const one = given.pop();
    if (one === undefined) return;
    delete labels[one.row];
    rows.unshift(one);
    keep();
    show();
  };

  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey) return;
    if (event.key === "0") pass();
    else if (event.key === "Backspace") takeBack();
    else if (/^[1-9]$/.test(event.key) && names[event.key - 1]) give(names[event.key - 1]);
    else return;
    event.preventDefault();
  });
  part("pass").addEventListener("click", pass);
  part("back").addEventListener("click", takeBack);
  part("add").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = event.target.elements.label;
    const name = field.value.trim();
    if (name && !names.includes(name)) names.push(name);
    field.value = "";
    field.blur();
    keep();
    showLabels();
  });
  part("keep").addEventListener("click", async () => {
    part("keep").disabled = true;
    try {
      const { url } = await post(place.dataset.save);
      localStorage.removeItem(memory);
      location.assign(url);
    } catch {
      say("sayUnsaved");
      part("keep").disabled = false;
    }
  });
  ask();
})();
