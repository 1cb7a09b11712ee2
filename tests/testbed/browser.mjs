#!/usr/bin/env node
// A real browser (Debian's chromium, headless, fresh profile) which opens an
// authorization URL, signs in and consents on oidc-provider's development
// pages or on those of gauth's own sandbox provider, follows the redirect to the
// loopback server and takes screenshots.
//
//   node browser.mjs URL
//
// Environment:
//   BROWSER_ACTION   approve (default), deny, deny-consent, leave-login,
//                    leave-consent (close the browser on that page), idle (open the
//                    page and stay on it until the timeout), approve-twice (load the
//                    redirect URL a second time)
//   BROWSER_LOGIN    account to sign in with (default alice@example.test)
//   BROWSER_OUT      folder for browser.png and browser.json (default state/browser); of the
//                    sandbox's pages also browser.sandbox-account.png and browser.sandbox-consent.png
//   BROWSER_SCHEME   dark or light (default)
//   BROWSER_PHONE    if set, a screen of 390 by 844
//   BROWSER_UNTICK   a scope to leave out on the sandbox's consent page
//   BROWSER_TIMEOUT  seconds for everything together (default 60)
//   BROWSER_CERT     PEM file with certificate(s) to trust, besides the usual ones
//   BROWSER_PROFILE  keep this profile folder, to stay signed in between runs
//   CHROMIUM         default /usr/bin/chromium
//
// Exit status: 0 the wanted action was carried out, 1 it was not, 2 usage.
// Nothing but 127.0.0.1, ::1 and localhost is reachable for this browser.

import { X509Certificate, createHash } from 'node:crypto';
import {
  mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = path.dirname(fileURLToPath(import.meta.url));
const { env } = process;
const ACTIONS = ['approve', 'deny', 'deny-consent', 'leave-login', 'leave-consent', 'idle', 'approve-twice'];
const action = env.BROWSER_ACTION || 'approve';
const login = env.BROWSER_LOGIN || 'alice@example.test';
const out = path.resolve(env.BROWSER_OUT || path.join(here, 'state', 'browser'));
const deadline = Date.now() + 1000 * Number(env.BROWSER_TIMEOUT || 60);
const left = () => Math.max(1, deadline - Date.now());

const url = process.argv[2];
if (!url || !/^https?:\/\//.test(url) || !ACTIONS.includes(action)) {
  console.error(`usage: [BROWSER_ACTION=${ACTIONS.join('|')}] browser.mjs http(s)://...`);
  process.exit(2);
}
mkdirSync(out, { recursive: true });

// Trust by public key: every certificate found in the PEM file.
function trusted(file) {
  const pems = readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return pems.map((pem) => createHash('sha256')
    .update(new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })).digest('base64')).join(',');
}

const profile = env.BROWSER_PROFILE || mkdtempSync(path.join(os.tmpdir(), 'testbed-browser-'));
const report = {
  url, action, login, started: new Date().toISOString(), steps: [], visited: [], too_wide: [], ok: false,
};
const started = performance.now();
let context;

// The pages of the provider, told apart by their forms.
async function kindOf(page) {
  const has = async (selector) => (await page.locator(selector).count()) > 0;
  if (await has('input[name=login]')) return 'login';
  if (await has('input[name=prompt][value=consent]')) return 'consent';
  if (await has('input[name=account]')) return 'sandbox-account';
  if (await has('button[name=action][value=approve]')) return 'sandbox-consent';
  if (await has('form[id="op.deviceInputForm"]')) return 'device-code';
  if (await has('form[id="op.deviceConfirmForm"]')) return 'device-confirm';
  if (await has('input[type=hidden][name=user_code]')) return 'self-submitting';
  return 'final';
}

// Clicks and waits until the page at the end of all redirects has come.
const follow = (page, selector) => Promise.all([
  page.waitForNavigation({ waitUntil: 'domcontentloaded', timeout: left() }),
  page.click(selector),
]);
const abort = (page) => follow(page, 'a:has-text("[ Cancel ]")');
const submit = (page) => follow(page, 'button[type=submit]');
const press = (page, value) => follow(page, `button[name=action][value=${value}]`);

// One of the sandbox's ready accounts, or another one by its address.
async function chooseAccount(page) {
  if (action === 'deny') return press(page, 'deny');
  const ready = page.locator(`input[name=account][type=radio][value="${login}"]`);
  if (await ready.count()) {
    await ready.check();
    return press(page, 'continue');
  }
  await page.click('summary');
  await page.fill('input[name=account][type=email]', login);
  return follow(page, 'details button[value=continue]');
}

// A screenshot, and whether the page has to be scrolled sideways to be read.
async function picture(page, kind) {
  await page.screenshot({ path: path.join(out, kind === 'final' ? 'browser.png' : `browser.${kind}.png`) });
  if (await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)) report.too_wide.push(kind);
}

// One page at a time; returns true when there is nothing left to do.
async function step(page, kind) {
  switch (kind) {
    case 'login':
      if (action === 'leave-login' || action === 'idle') return true;
      if (action === 'deny') { await abort(page); return false; }
      await page.fill('input[name=login]', login);
      await page.fill('input[name=password]', 'any password will do');
      await submit(page);
      return false;
    case 'consent':
      if (action === 'leave-consent') return true;
      if (action === 'deny' || action === 'deny-consent') { await abort(page); return false; }
      await submit(page);
      return false;
    case 'sandbox-account':
      await picture(page, kind);
      if (action === 'leave-login' || action === 'idle') return true;
      await chooseAccount(page);
      return false;
    case 'sandbox-consent':
      await picture(page, kind);
      if (action === 'leave-consent') return true;
      if (env.BROWSER_UNTICK) await page.uncheck(`input[name=scope][value="${env.BROWSER_UNTICK}"]`);
      await press(page, action.startsWith('deny') ? 'deny' : 'approve');
      return false;
    case 'device-code':
      if (report.steps.length > 1) return true; // code not taken, or aborted
      await page.fill('input[name=user_code]', env.BROWSER_USER_CODE || '');
      await submit(page);
      return false;
    case 'device-confirm':
      await follow(page, action.startsWith('deny') ? 'button[name=abort]' : 'button[autofocus]');
      return action.startsWith('deny');
    case 'self-submitting':
      await page.waitForTimeout(100);
      return false;
    default:
      return true;
  }
}

async function main() {
  context = await chromium.launchPersistentContext(profile, {
    executablePath: env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    timeout: left(),
    handleSIGTERM: true,
    colorScheme: env.BROWSER_SCHEME || 'light',
    ...(env.BROWSER_PHONE && { viewport: { width: 390, height: 844 } }),
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE [::1], EXCLUDE localhost',
      ...(env.BROWSER_CERT ? [`--ignore-certificate-errors-spki-list=${trusted(env.BROWSER_CERT)}`] : []),
    ],
  });
  context.setDefaultTimeout(left());
  const page = context.pages()[0] ?? await context.newPage();
  page.on('response', async (response) => {
    if (response.request().isNavigationRequest() && response.frame() === page.mainFrame()) {
      report.visited.push({
        method: response.request().method(), url: response.url(), status: response.status(), headers: response.headers(),
      });
    }
  });
  page.on('requestfailed', (request) => {
    if (request.isNavigationRequest()) report.visited.push({ url: request.url(), failed: request.failure()?.errorText });
  });

  await page.goto(url, { waitUntil: 'domcontentloaded' });
  let kind;
  for (let i = 0; i < 20; i += 1) { // far more pages than any flow has
    kind = await kindOf(page);
    report.steps.push(kind);
    if (await step(page, kind)) break;
  }
  // where the browser was sent back to, if it got an answer there
  const callback = report.visited.findLast((v) => v.status && new URL(v.url).origin !== new URL(url).origin
    && /[?&](code|error)=/.test(v.url));
  report.callback = callback?.url ?? null;
  if (action === 'approve-twice' && callback) {
    report.second = await page.goto(callback.url).then((r) => r?.status() ?? null, (e) => String(e).split('\n')[0]);
  }

  report.final_url = page.url();
  report.final_title = await page.title();
  report.final_text = (await page.locator('body').innerText()).slice(0, 2000);
  await picture(page, 'final');
  if (action === 'idle') while (Date.now() < deadline) await page.waitForTimeout(Math.min(500, left()));
  const finished = callback !== undefined || report.final_title === 'Sign-in Success' || kind === 'device-confirm';
  report.ok = (action.startsWith('leave') || action === 'idle') ? kind !== 'final' : finished;
}

const guard = setTimeout(() => { finish(new Error('BROWSER_TIMEOUT reached')); }, left() + 3000);

async function finish(error) {
  clearTimeout(guard);
  if (error) report.error = String(error).split('\n')[0];
  report.ms = Math.round(performance.now() - started);
  writeFileSync(path.join(out, 'browser.json.new'), `${JSON.stringify(report, null, 2)}\n`);
  renameSync(path.join(out, 'browser.json.new'), path.join(out, 'browser.json'));
  await Promise.race([context?.close().catch(() => {}), new Promise((r) => { setTimeout(r, 5000); })]);
  if (!env.BROWSER_PROFILE) rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  process.exit(report.ok && !error ? 0 : 1);
}

main().then(() => finish(), finish);
