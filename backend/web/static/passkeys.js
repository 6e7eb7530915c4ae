// Passkeys: adding one on the account page, signing in with one. Sentences come from data attributes, translated.
"use strict";

(() => {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));

  const base64url = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (one) => String.fromCharCode(one)).join(""))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // Browsers since 2025 do this themselves (parseCreationOptionsFromJSON, toJSON); people's computers are older.
  const readOptions = (options) => {
    const list = (credentials) => (credentials || []).map((one) => ({ ...one, id: bytes(one.id) }));
    const read = { ...options, challenge: bytes(options.challenge) };
    if (options.user) read.user = { ...options.user, id: bytes(options.user.id) };
    if (options.excludeCredentials) read.excludeCredentials = list(options.excludeCredentials);
    if (options.allowCredentials) read.allowCredentials = list(options.allowCredentials);
    return read;
  };

  const writeCredential = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = base64url(credential.response[name]);
    }
    return { id: credential.id, rawId: base64url(credential.rawId), type: credential.type, response };
  };

  const post = async (path, body) => {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw Object.assign(new Error(), { status: answer.status });
    return answer.json();
  };

  const sentence = (box, error) => {
    if (error.status === 429) return box.dataset.often;
    if (error.status) return box.dataset.refused;
    if (error.name === "InvalidStateError") return box.dataset.known || box.dataset.refused;
    if (error.name === "NotAllowedError" || error.name === "AbortError") return box.dataset.cancelled;
    return box.dataset.failed;
  };

  const run = async (box, ceremony) => {
    const problem = box.querySelector("[data-passkey-problem]");
    const button = box.querySelector("button");
    problem.textContent = "";
    problem.hidden = true;
    button.disabled = true;
    try {
      location.assign((await ceremony()).next);
    } catch (error) {
      problem.textContent = sentence(box, error);
      problem.hidden = false;
      button.disabled = false;
    }
  };

  const add = async (box) => {
    const { token, publicKey } = await post("/account/passkeys/options", {});
    const credential = await navigator.credentials.create({ publicKey: readOptions(publicKey) });
    const name = box.querySelector("[data-passkey-name]").value;
    return post("/account/passkeys", { token, name, credential: writeCredential(credential) });
  };

  const signIn = async (box) => {
    const { token, publicKey } = await post("/sign-in/passkey/options", {});
    const credential = await navigator.credentials.get({ publicKey: readOptions(publicKey) });
    return post("/sign-in/passkey", { token, next: box.dataset.next, credential: writeCredential(credential) });
  };

  // A passkey belongs to a name: none at a bare network address, none at another address than the service's own.
  const possible = (box) =>
    Boolean(window.PublicKeyCredential) &&
    new URL(box.dataset.address).origin === location.origin &&
    !/^(\d+\.\d+\.\d+\.\d+|\[.*\])$/.test(location.hostname);

  for (const box of document.querySelectorAll("[data-passkey]")) {
    if (!possible(box)) {
      for (const one of document.querySelectorAll("[data-passkey-impossible]")) one.hidden = false;
      continue;
    }
    box.hidden = false;
    if (box.dataset.passkey === "add") {
      box.addEventListener("submit", (event) => {
        event.preventDefault();
        run(box, () => add(box));
      });
    } else {
      box.querySelector("button").addEventListener("click", () => run(box, () => signIn(box)));
    }
  }
})();
