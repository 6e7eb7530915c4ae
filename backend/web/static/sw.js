// Shows the emergency numbers when there is no network. Runs only where somebody asked for it (docs/decisions/0022), and
// holds nothing but public files. VERSION, OFFLINE and FILES stand before this, made from what is in the files.
/* global VERSION, OFFLINE, FILES */
"use strict";
const PAGES = ["/", "/offline", "/privacy"];

self.addEventListener("install", (event) => {
  const fetched = FILES.map((file) => new Request(file, { cache: "reload", credentials: "omit" }));
  event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll(fetched)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const tidy = caches.keys().then((names) => Promise.all(names.filter((name) => name !== VERSION).map((name) => caches.delete(name))));
  event.waitUntil(tidy.then(() => self.clients.claim()));
});

// Always from the network; what is kept here is for when there is none. Nothing that comes by is kept.
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  const file = url.pathname + url.search;
  const instead = request.mode === "navigate" ? PAGES.includes(url.pathname) && OFFLINE : FILES.includes(file) && file;
  if (!instead) return;
  const kept = async () => (await (await caches.open(VERSION)).match(instead)) || Response.error();
  event.respondWith(fetch(request).catch(kept));
});

self.addEventListener("message", (event) => {
  if (event.data !== "left") return;
  const gone = caches.keys().then((names) => Promise.all(names.map((name) => caches.delete(name))));
  event.waitUntil(gone.then(() => self.registration.unregister()));
});
