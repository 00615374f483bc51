// A large file is sent in parts (tus), with a bar that shows how much has arrived. When the
// connection drops it goes on from there by itself; chosen again on a later visit, likewise.
(() => {
  "use strict";
  const PART_BYTES = 8 * 1024 * 1024;
  const WAITS = [0, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 60000];

  const megabytes = (bytes) => (bytes / 1e6).toLocaleString(undefined, { maximumFractionDigits: 1 });

  const show = (form, sentence, done, total) => {
    const panel = form.querySelector("[data-progress]");
    panel.hidden = false;
    panel.querySelector("[data-say]").textContent = sentence;
    if (total) {
      panel.querySelector("progress").max = total;
      panel.querySelector("progress").value = done;
    }
  };

  const refusalOf = (error) => {
    try {
      return JSON.parse(error.originalResponse.getBody()).error.message;
    } catch {
      return "";
    }
  };

  const finish = (form, file, upload) => {
    form.elements.resumable.value = upload.url.split("/").filter(Boolean).pop();
    form.querySelector("input[type=file]").disabled = true;
    show(form, "All of it is here. One moment …", file.size, file.size);
    form.submit();
  };

  const start = async (form, file) => {
    const button = form.querySelector("[data-pause]");
    const submit = form.querySelector("button[type=submit]");
    const upload = new tus.Upload(file, {
      endpoint: form.dataset.upload,
      chunkSize: PART_BYTES,
      retryDelays: WAITS,
      metadata: { filename: file.name },
      headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
      removeFingerprintOnSuccess: true,
      onProgress: (done, total) => {
        const share = Math.floor((100 * done) / total);
        show(form, `${megabytes(done)} of ${megabytes(total)} MB, ${share}%`, done, total);
      },
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        show(form, "The connection dropped. Trying again …");
        return status === 0 || status === 409 || status === 423 || status === 429 || status >= 500;
      },
      onError: (error) => {
        const why = refusalOf(error) || "The connection is gone. What has arrived is kept.";
        show(form, why);
        button.textContent = "Go on";
        button.dataset.paused = "";
        submit.removeAttribute("aria-busy");
      },
      onSuccess: () => finish(form, file, upload),
    });
    const known = await upload.findPreviousUploads();
    if (known.length) upload.resumeFromPreviousUpload(known[0]);
    button.onclick = () => {
      if (button.dataset.paused === undefined) {
        upload.abort();
        button.dataset.paused = "";
        button.textContent = "Go on";
      } else {
        delete button.dataset.paused;
        button.textContent = "Pause";
        upload.start();
      }
    };
    submit.setAttribute("aria-busy", "true");
    show(form, "Starting …", 0, file.size);
    upload.start();
  };

  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      const file = form.dataset.upload && form.querySelector("input[type=file]")?.files[0];
      if (!file || file.size <= PART_BYTES || !window.tus?.isSupported) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (form.dataset.uploading !== undefined) return;
      form.dataset.uploading = "";
      start(form, file);
    },
    true,
  );
})();
