// Asks the browser for passkeys. Without this script everything but passkeys works.
"use strict";

const post = async (path, fields) => {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(fields),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text.trim());
  return text ? JSON.parse(text) : null;
};

const show = async (path, key) => {
  const options = await post(path, { form_key: key });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey ?? options);
  return JSON.stringify((await navigator.credentials.get({ publicKey })).toJSON());
};

const make = async (path, key, name) => {
  const options = await post(path, { form_key: key, name });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey ?? options);
  return JSON.stringify((await navigator.credentials.create({ publicKey })).toJSON());
};

// Runs `work` in place of sending the form, then sends it.
const instead = (form, wanted, work) => {
  form.addEventListener("submit", async (event) => {
    if (form.dataset.ready || !wanted(event.submitter)) return;
    event.preventDefault();
    const problem = form.querySelector(".problem");
    problem.hidden = true;
    try {
      form.elements.answer.value = await work(event.submitter);
      form.dataset.ready = "yes";
      form.requestSubmit(event.submitter);
    } catch (error) {
      problem.textContent = error.message || String(error);
      problem.hidden = false;
    }
  });
};

for (const form of document.querySelectorAll("form.decide[data-passkey]")) {
  instead(
    form,
    (button) => button?.value === "approve",
    () => show(form.dataset.asks, form.elements.form_key.value),
  );
}

for (const form of document.querySelectorAll("form.passkeys")) {
  const key = form.elements.form_key.value;
  const permit = async () => {
    if (form.dataset.known === "0") return;
    const answer = await show("/console/passkeys/permit", key);
    await post("/console/passkeys/permitted", { form_key: key, answer });
  };
  instead(form, () => true, async (button) => {
    await permit();
    if (button?.classList.contains("no")) return "";
    return make("/console/passkeys/make", key, form.elements.name.value);
  });
}
