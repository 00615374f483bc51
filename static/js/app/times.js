// Moments in the reader's own time zone. The server writes them in UTC, which stays on hover.
(() => {
  const MINUTE = 60, HOUR = 3600, DAY = 86400, MONTH = 30 * DAY, YEAR = 365 * DAY;
  const exact = new Intl.DateTimeFormat(latheLocale, { dateStyle: "medium", timeStyle: "medium" });
  const zone = new Intl.DateTimeFormat(latheLocale, { timeZoneName: "short" });

  function zoneName(moment) {
    return zone.formatToParts(moment).find((part) => part.type === "timeZoneName")?.value ?? "";
  }

  function distance(seconds) {
    const past = seconds >= 0;
    const size = Math.abs(seconds);
    if (size < 45) return past ? latheText("just now") : latheText("in a moment");
    const units = [
      [HOUR, MINUTE, latheText("{n} min ago"), latheText("in {n} min")],
      [DAY, HOUR, latheText("{n} h ago"), latheText("in {n} h")],
      [MONTH, DAY, latheText("{n} d ago"), latheText("in {n} d")],
      [YEAR, MONTH, latheText("{n} mo ago"), latheText("in {n} mo")],
    ];
    const found = units.find(([limit]) => size < limit);
    const n = found ? Math.max(1, Math.round(size / found[1])) : (size / YEAR).toFixed(1);
    const [pastWords, futureWords] = found ? found.slice(2) : [latheText("{n} y ago"), latheText("in {n} y")];
    return (past ? pastWords : futureWords).replace("{n}", n);
  }

  function show(element) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    const local = `${exact.format(moment)} ${zoneName(moment)}`;
    if (element.dataset.shown === "ago") {
      const words = distance((Date.now() - moment) / 1000);
      if (element.textContent !== words) element.textContent = words;
      element.title = local;
    } else if (element.dataset.shown === "exact" && !element.latheLocal) {
      element.latheLocal = true;
      element.title = element.textContent.trim();
      element.textContent = local;
    } else if (element.dataset.shown === "clock" && !element.latheLocal) {
      element.latheLocal = true;
      element.title = local;
      element.textContent = moment.toLocaleTimeString(latheLocale);
    }
  }

  function showAll() {
    for (const element of document.querySelectorAll("time[data-shown]")) show(element);
  }

  document.addEventListener("DOMContentLoaded", showAll);
  document.addEventListener("htmx:after:swap", showAll);
  setInterval(showAll, 30_000);
})();
