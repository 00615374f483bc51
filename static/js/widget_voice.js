// Microphone and speaker of the widget: the browser's own voice, or a recording that the server hears.
"use strict";
(() => {
  const own = root.dataset.voice === "browser";
  const chinese = root.lang === "zh";
  const Recognition = window.SpeechRecognition || window.webkitSpeechRecognition;
  const canRecord = "hears" in root.dataset && navigator.mediaDevices && window.MediaRecorder;
  const canHear = own ? Boolean(Recognition) : Boolean(canRecord);
  const canSpeak = own ? "speechSynthesis" in window : "speaks" in root.dataset;
  const bar = document.querySelector("[data-voice-bar]");
  const notice = document.querySelector("[data-notice]");
  const microphone = bar.querySelector("[data-microphone]");
  const speaker = bar.querySelector("[data-speaker]");
  const status = bar.querySelector("[data-voice-status]");
  const said = chinese
    ? { listening: "请讲，说完再按一次。", sending: "正在识别…", blocked: "麦克风被禁用，请直接输入。",
        nothing: "没有听清，请再说一次或直接输入。", mute: "无法朗读这条回答。" }
    : { listening: "Listening. Press again when you are done.", sending: "Recognising…",
        blocked: "The microphone is blocked. Please write.",
        nothing: "Nothing was heard. Say it again, or write.", mute: "This answer could not be read aloud." };
  const LONGEST_MS = 59_000; // The server hears 60 seconds.
  let agreed = false;
  let active = null; // What listens at the moment: anything with stop().
  let asked = false; // The last question was spoken.
  let afterNotice = null;
  const audio = new Audio();

  function tell(text) { status.textContent = text; }

  function press(button, isOn) { button.setAttribute("aria-pressed", String(isOn)); }

  function isOn(button) { return button.getAttribute("aria-pressed") === "true"; }

  // The visitor is told where the voice goes before it goes anywhere.
  function whenAgreed(act) {
    if (agreed) { act(); return; }
    afterNotice = act;
    notice.hidden = false;
    notice.querySelector("[data-agree]").focus();
  }

  function answerNotice(isAgreed) {
    notice.hidden = true;
    agreed = isAgreed;
    const act = afterNotice;
    afterNotice = null;
    if (isAgreed && act) act();
    else microphone.focus();
  }

  function quiet() {
    audio.pause();
    if (own && canSpeak) speechSynthesis.cancel();
  }

  function begin(listener) {
    quiet();
    active = listener;
    press(microphone, true);
    tell(said.listening);
  }

  function end(text = "") {
    active = null;
    press(microphone, false);
    tell(text);
  }

  function recognise() {
    const recognition = new Recognition();
    let heard = "";
    let problem = "";
    recognition.lang = chinese ? "zh-CN" : "en-US";
    recognition.interimResults = true;
    recognition.onresult = (event) => {
      heard = Array.from(event.results, (result) => result[0].transcript).join("");
      field.value = heard;
    };
    recognition.onerror = (event) => {
      problem = event.error === "no-speech" ? said.nothing : said.blocked;
    };
    recognition.onend = () => {
      end(problem || (heard.trim() ? "" : said.nothing));
      if (heard.trim() && !problem) {
        asked = true;
        send(heard);
      }
    };
    begin(recognition);
    recognition.start();
  }

  async function record() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      tell(said.blocked);
      return;
    }
    const type = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"]
      .find((name) => MediaRecorder.isTypeSupported(name));
    const recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: 32_000 });
    const parts = [];
    const timer = setTimeout(() => recorder.stop(), LONGEST_MS);
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = async () => {
      clearTimeout(timer);
      for (const track of stream.getTracks()) track.stop();
      end(said.sending);
      const body = new FormData();
      body.append("audio", new Blob(parts, { type: recorder.mimeType }), "question");
      body.append("id", messageId());
      body.append("language", root.lang);
      body.append("metadata", JSON.stringify(extras.metadata));
      asked = true;
      await sendBody(body);
      tell("");
    };
    begin(recorder);
    recorder.start();
  }

  async function play(voice) {
    try {
      const answer = await fetch(base + voice.url, { headers: { "X-Lathe-Visitor": visitor() } });
      if (!answer.ok) throw new Error((await answer.json()).error);
      if (audio.src) URL.revokeObjectURL(audio.src);
      audio.src = URL.createObjectURL(await answer.blob());
      await audio.play();
    } catch (problem) {
      tell(problem.message || said.mute);
    }
  }

  function speak(texts) {
    speechSynthesis.cancel();
    for (const text of texts) {
      const words = new SpeechSynthesisUtterance(text.replace(/https?:\/\/\S+/g, ""));
      words.lang = chinese ? "zh-CN" : "en-US";
      speechSynthesis.speak(words);
    }
  }

  document.addEventListener("lathe:said", ({ detail }) => {
    const replies = detail.fresh.filter((message) => message.author !== "visitor");
    if (detail.isFirst && !asked && !isOn(speaker)) return; // What was said before a reload.
    if (!canSpeak || !replies.length || !(asked || isOn(speaker))) return;
    asked = false;
    if (own) speak(replies.map((message) => message.text));
    else if (detail.voice) play(detail.voice);
  });
  microphone.addEventListener("click", () => {
    if (active) active.stop();
    else whenAgreed(own ? recognise : record);
  });
  speaker.addEventListener("click", () => {
    const toggle = () => {
      press(speaker, !isOn(speaker));
      extras.voice = !own && isOn(speaker) ? true : undefined;
      if (!isOn(speaker)) quiet();
    };
    if (own && !isOn(speaker)) whenAgreed(toggle);
    else toggle();
  });
  notice.querySelector("[data-agree]").addEventListener("click", () => answerNotice(true));
  notice.querySelector("[data-decline]").addEventListener("click", () => answerNotice(false));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || (!active && notice.hidden)) return;
    event.stopImmediatePropagation(); // Escape ends listening before it closes the chat.
    if (active) active.stop();
    if (!notice.hidden) answerNotice(false);
  }, true);
  microphone.hidden = !canHear;
  speaker.hidden = !canSpeak;
  bar.hidden = !canHear && !canSpeak;
})();
