// SPDX-License-Identifier: Apache-2.0
// The dashboard in Debian's chromium, beside unmodified clients of NATS Streaming that publish and work: what it shows, what it lets whom do, that
// names and payloads stay text, that it asks nobody else for anything, that it can be used on a phone and with a keyboard; and the HTTP side of the
// admin API against pages of other sites. SCREENSHOTS=DIR keeps pictures of its pages.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const fs = require('fs')
const http = require('http')
const os = require('os')
const path = require('path')
const { chromium } = require('playwright-core')
const { test, run } = require('../conformance/lib/tap')
const { Server, program } = require('../conformance/lib/server')
const { connect: connectTo, publish, subscribe } = require('../conformance/lib/stan_client')
const { unique, until } = require('../conformance/lib/wait')

const USER = { user: 'operator', password: 'correct horse' }
const CONFIG = `
admin { user: ${USER.user}, password: "${USER.password}" }
streaming { store_limits { channels { "twice.>" { max_deliver: 1, dead_letter: dead } } } }
`
const PAGES = ['', 'channels', 'groups', 'dead', 'clients', 'server']
const EVIL = '"\'<img&lt;<script'
const EVIL_GROUP = '<img src=x onerror=owned=1><b>'
let server, browser, directory

/** A server with a monitoring port; `origin` is where its pages are. */
async function started (file) {
  const one = await Server.start(['-c', file], { http: true })
  one.origin = `http://127.0.0.1:${one.httpPort}`
  return one
}

/** A page of the dashboard whose every request and complaint is kept; it fails the test that it belongs to when something was wrong. */
async function open (t, route = '', { width = 1280, height = 900, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  page.complaints = []
  page.on('pageerror', (error) => page.complaints.push(error.message))
  page.on('console', (message) => { if (message.type() === 'error' && !/status of 40[13]/.test(message.text())) page.complaints.push(message.text()) })
  page.on('request', (request) => { if (new URL(request.url()).origin !== server.origin) page.complaints.push(`asks ${request.url()}`) })
  t.after(async () => {
    await context.close()
    assert.deepStrictEqual(page.complaints, [])
  })
  await page.goto(`${server.origin}/ui/#/${route}`)
  await page.waitForSelector('h1')
  await page.waitForSelector('#live.good')
  return page
}

async function logIn (page) {
  await page.click('#login')
  await page.fill('#field-user', USER.user)
  await page.fill('#field-password', USER.password)
  await page.click('dialog button[value=yes]')
  await page.waitForSelector('body.operator')
}

const shoot = (page, name) => process.env.SCREENSHOTS && page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true })
// The page's own policy forbids what waitForFunction() does.
const holds = (page, what, body, argument) => until(() => page.evaluate(body, argument), what)
const seen = (page, text) => holds(page, `"${text}" is shown`, (wanted) => document.getElementById('main').innerText.includes(wanted), text)

/** A request as a program, or a page elsewhere, would send it. */
function post (name, headers = {}, body = '{}', method = 'POST') {
  return new Promise((resolve, reject) => {
    const request = http.request(`${server.origin}/api/v1/${name}`, { method, headers: { 'Content-Type': 'application/json', 'Weir-Request': '1', ...headers } }, (response) => {
      let text = ''
      response.on('data', (data) => { text += data })
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text, json: text.startsWith('{') ? JSON.parse(text) : null }))
    })
    request.once('error', reject)
    request.end(body)
  })
}
const basic = (user, password) => ({ Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` })

/** A channel with messages, some of them with a worker. */
async function busy (t, channel, count, options = {}) {
  const client = await connectTo(t, server)
  for (let i = 1; i <= count; i++) await publish(client, channel, `job ${i}`)
  const worker = await subscribe(client, channel, { durable: 'd', group: 'workers', manual: true, all: true, ackWait: 60000, maxInFlight: 3, ...options })
  await worker.queue.take(Math.min(count, 3))
  return { client, worker }
}

test('every page shows what there is, on a desktop and a phone, light and dark, under load', async (t) => {
  const channel = unique('jobs')
  await busy(t, channel, 8)
  const load = spawn(program, ['bench', 'stan-pub', '-s', server.url, '--subject', unique('bench'), '--msgs', '100000000', '--window', '8', '--quiet'], { stdio: 'ignore' })
  t.after(() => load.kill())
  let rate = ''
  for (const [size, options] of [['desktop', { colorScheme: 'light' }], ['phone', { width: 375, height: 800, colorScheme: 'dark' }]]) {
    const page = await open(t, '', options)
    for (const route of PAGES) {
      await page.goto(`${server.origin}/ui/#/${route}`)
      await seen(page, { '': 'Most to do', channels: channel, groups: 'd:workers', dead: 'Dead letters', clients: 'Client', server: 'Log' }[route])
      if (!route) await holds(page, 'a rate', () => /published [1-9]/.test(document.querySelector('.chart .legend').innerText))
      if (!route) rate = await page.innerText('.chart .legend')
      await shoot(page, `${size}-${route || 'overview'}`)
      const width = await page.evaluate(() => document.documentElement.scrollWidth)
      assert.ok(width <= (options.width || 1280), `${route} on a ${size} is ${width} px wide`)
    }
  }
  assert.ok(load.exitCode === null, `the load ended early, after ${rate}`)
})

test('charts are drawn, and rates follow the traffic', async (t) => {
  const channel = unique('traffic')
  const { client } = await busy(t, channel, 1)
  const page = await open(t)
  const timer = setInterval(() => client.publish(channel, 'x', () => {}), 20)
  t.after(() => clearInterval(timer))
  await holds(page, 'three charts', () => document.querySelectorAll('.chart canvas').length === 3)
  await holds(page, 'a rate', () => /published [1-9]/.test(document.querySelector('.chart .legend').innerText))
  assert.match(await page.getAttribute('.plot', 'aria-label'), /^Messages a second: published /)
})

test('a group shows its members, and what each holds for how long', async (t) => {
  const channel = unique('held')
  const { client } = await busy(t, channel, 5)
  const page = await open(t, 'groups')
  await page.fill('input[type=search]', channel)
  await page.click('main a:has-text("d:workers")')
  await seen(page, client.clientID)
  await seen(page, '3 of 3')
  assert.strictEqual(await page.locator('table:has(caption:has-text("Messages that are out")) tbody tr').count(), 3)
})

test('who has not logged in can look and not act', async (t) => {
  const channel = unique('look')
  await busy(t, channel, 2)
  const page = await open(t, `channel/${channel}`)
  await seen(page, 'Log in to act.')
  assert.strictEqual(await page.locator('main button').count(), 0)
  const answers = await Promise.all(['channel/pause', 'channel/purge', 'channel/rm', 'msg/get', 'client/kick'].map((name) => post(name, {}, JSON.stringify({ channel }))))
  assert.deepStrictEqual(answers.map((one) => [one.status, one.json.error.code]), Array(5).fill([401, 'not_permitted']))
})

test('an operator pauses, releases, kills and redrives with a mouse', async (t) => {
  const channel = unique('act')
  const { client, worker } = await busy(t, channel, 3)
  const page = await open(t, 'groups')
  await logIn(page)
  await page.fill('input[type=search]', channel)
  await page.click('main a:has-text("d:workers")')
  await page.click('button:has-text("Pause")')
  await shoot(page, 'dialog')
  await page.click('dialog button[value=yes]')
  await page.waitForSelector('h1 .badge:has-text("paused")')
  await publish(client, channel, 'while it is paused')
  await holds(page, 'one message waits', () => document.querySelector('.tile strong').innerText === '1')
  await page.click('button:has-text("Resume")')
  await page.waitForSelector('h1:not(:has(.badge))')
  await page.click('tr:has-text("in flight") >> nth=1 >> button:has-text("Release")')
  await until(() => worker.queue.items.some((one) => one.sequence === 2), 'it comes again')
  await page.click('tr:has-text("in flight") >> nth=0 >> button:has-text("Kill")')
  await page.click('dialog button[value=yes]')
  await seen(page, 'Redrive dead')
  await shoot(page, 'group')
  await page.goto(`${server.origin}/ui/#/dead`)
  await seen(page, 'by an operator')
  await shoot(page, 'dead')
  await page.click('button:has-text("Redrive 1")')
  for (const one of worker.queue.items) one.ack() // it may hold three
  await until(() => worker.queue.items.filter((one) => one.sequence === 1).length > 0, 'it comes again')
})

test('wrong credentials are refused, with a word, and nothing is kept', async (t) => {
  const page = await open(t)
  await page.click('#login')
  await page.fill('#field-user', USER.user)
  await page.fill('#field-password', 'wrong')
  await page.click('dialog button[value=yes]')
  await page.waitForSelector('.toast.bad')
  assert.match(await page.innerText('.toast.bad'), /wrong user or password/)
  assert.strictEqual(await page.innerText('#login'), 'Log in')
})

test('names and payloads stay text', async (t) => {
  const client = await connectTo(t, server, { id: unique('evil') })
  await publish(client, EVIL, '<script>window.owned = 1</script>\u0000\u001b[31m')
  await subscribe(client, EVIL, { durable: 'd', group: EVIL_GROUP, manual: true, all: true })
  const page = await open(t, 'channels')
  await seen(page, EVIL)
  await page.goto(`${server.origin}/ui/#/groups`)
  await seen(page, EVIL_GROUP)
  await logIn(page)
  await page.goto(`${server.origin}/ui/#/channel/${encodeURIComponent(EVIL)}`)
  await page.click('button:has-text("Show")')
  await page.waitForSelector('.message pre')
  assert.match(await page.innerText('.message pre'), /<script>window.owned = 1<\/script>/)
  assert.strictEqual(await page.evaluate(() => window.owned), undefined)
  assert.strictEqual(await page.locator('main img, main script, main b').count(), 0)
})

test('a keyboard is enough', async (t) => {
  const channel = unique('keys')
  await busy(t, channel, 2)
  const page = await open(t)
  await page.keyboard.press('Tab')
  assert.strictEqual(await page.evaluate(() => document.activeElement.innerText), 'Skip to the content')
  const order = []
  for (let i = 0; i < 9; i++) {
    await page.keyboard.press('Tab')
    order.push(await page.evaluate(() => document.activeElement.innerText.trim()))
  }
  assert.deepStrictEqual(order.slice(1), ['Overview', 'Channels', 'Groups', 'Dead letters', 'Clients', 'Server', '◐', 'Log in'])
  await page.keyboard.press('Enter')
  await page.waitForSelector('dialog[open]')
  assert.strictEqual(await page.evaluate(() => document.activeElement.id), 'field-user')
  await page.keyboard.type(USER.user)
  await page.keyboard.press('Tab')
  await page.keyboard.type(USER.password)
  await page.keyboard.press('Enter')
  await page.waitForSelector('body.operator')
  await page.keyboard.press('Tab')
})

test('the focus stays where it is while the page is made anew', async (t) => {
  const channel = unique('focus')
  await busy(t, channel, 2)
  const page = await open(t, 'groups')
  await page.focus('main a:has-text("d:workers")')
  const before = await page.evaluate(() => { document.activeElement.marked = true; return document.activeElement.dataset.key })
  await holds(page, 'the page is made anew', () => document.activeElement.tagName === 'A' && !document.activeElement.marked)
  assert.strictEqual(await page.evaluate(() => document.activeElement.dataset.key), before)
})

test('the page may load nothing from elsewhere, and cannot be framed', async () => {
  const answer = await fetch(`${server.origin}/ui/`)
  const policy = answer.headers.get('content-security-policy')
  assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/)
  assert.match(policy, /frame-ancestors 'none'/)
  assert.ok(!/unsafe|https?:|\*/.test(policy), policy)
  const html = await answer.text()
  assert.ok(!/<script>|style=|onclick|https?:\/\//.test(html), html)
  const away = await fetch(`${server.origin}/ui`, { redirect: 'manual' })
  assert.deepStrictEqual([away.status, away.headers.get('location')], [301, 'ui/'])
  assert.strictEqual((await fetch(`${server.origin}/ui/../varz`)).status, 200)
  assert.strictEqual((await fetch(`${server.origin}/ui/nothing.js`)).status, 404)
})

test('pages of other sites may not ask, whoever is logged in', async () => {
  const known = basic(USER.user, USER.password)
  assert.strictEqual((await post('channel/list', known)).status, 200)
  assert.strictEqual((await post('channel/list', { ...known, Origin: server.origin })).status, 200)
  for (const headers of [{ Origin: 'https://evil.example' }, { Origin: 'null' }, { Origin: `${server.origin}.evil.example` }, { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' }, { 'Content-Type': 'text/plain' }, { 'Content-Type': 'application/json-evil' }]) {
    const answer = await post('channel/list', { ...known, ...headers })
    assert.deepStrictEqual([answer.status, answer.json.error.code], [403, 'not_permitted'], JSON.stringify(headers))
  }
  const simple = await fetch(`${server.origin}/api/v1/channel/list`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...known }, body: '{}' })
  assert.strictEqual(simple.status, 403)
})

test('a name that leads here is not enough to look without credentials', async () => {
  const port = new URL(server.origin).port
  for (const host of [`evil.example:${port}`, 'evil.example', '1.2.3.evil', '[evil.example', '[evil.example]', '[]']) assert.strictEqual((await post('channel/list', { Host: host })).status, 401, host)
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, '[::1]:80']) assert.strictEqual((await post('channel/list', { Host: host })).status, 200, host)
})

test('malformed requests over HTTP are told so', async () => {
  const known = basic(USER.user, USER.password)
  const code = async (...args) => { const one = await post(...args); return [one.status, one.json && one.json.error.code] }
  assert.deepStrictEqual(await code('channel/list', known, '{'), [400, 'bad_json'])
  assert.deepStrictEqual(await code('channel/list', known, '{"limit":-1}'), [400, 'bad_request'])
  assert.deepStrictEqual(await code('channel/list', known, '{"limitt":1}'), [400, 'unknown_field'])
  assert.deepStrictEqual(await code('channel/destroy', known), [404, 'unknown_request'])
  assert.deepStrictEqual(await code('channel/info', known, '{"channel":"nobody"}'), [404, 'channel_not_found'])
  assert.deepStrictEqual(await code('Channel/List', known), [404, 'unknown_request'])
  assert.deepStrictEqual(await code(`${'a'.repeat(100)}/b`, known), [404, 'unknown_request'])
  assert.strictEqual((await post('channel/list', known, `{"match":"${'x'.repeat(70000)}"}`)).status, 413)
  const get = await fetch(`${server.origin}/api/v1/channel/list`)
  assert.deepStrictEqual([get.status, get.headers.get('allow')], [405, 'POST'])
  assert.strictEqual((await fetch(`${server.origin}/varz`, { method: 'POST', body: '{}' })).status, 405)
  for (const authorization of ['Basic', 'Basic !!!', 'Bearer x', `Basic ${Buffer.from('nocolon').toString('base64')}`]) {
    assert.strictEqual((await post('channel/list', { Authorization: authorization })).status, 401, authorization)
  }
})

test('users of NATS may what their permissions name, hashes included', { alone: true }, async (t) => {
  const hash = '$2a$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW' // of "secret"
  const file = path.join(directory, 'users.conf')
  fs.writeFileSync(file, `authorization { users: [
    { user: viewer, password: look, permissions: { publish: ["$WEIR.API.V1.*.LIST", "_STAN.>"] } }
    { user: plain, password: all }
    { user: hashed, password: "${hash}", permissions: { publish: ["$WEIR.>"] } } ] }`)
  const own = await started(file)
  t.after(() => own.stop())
  const before = server
  server = own
  t.after(() => { server = before })
  assert.strictEqual((await post('channel/list', basic('viewer', 'look'))).status, 200)
  assert.deepStrictEqual([(await post('channel/pause', basic('viewer', 'look'), '{"channel":"x"}')).status, (await post('channel/list', basic('plain', 'all'))).status], [403, 403])
  assert.strictEqual((await post('channel/list', basic('viewer', 'wrong'))).status, 401)
  const answers = await Promise.all(Array.from({ length: 6 }, () => post('channel/list', basic('hashed', 'secret'))))
  assert.deepStrictEqual(answers.map((one) => one.status), Array(6).fill(200))
  assert.strictEqual((await post('channel/list', basic('hashed', 'secrets'))).status, 401)
  let busy = 0
  for (let i = 0; i < 30; i++) busy += (await post('channel/list', basic('viewer', `guess${i}`))).status === 503
  assert.ok(busy >= 8, `${busy} of 30 guesses were turned away`)
  assert.strictEqual((await post('channel/list', basic('hashed', 'secret'))).status, 200, 'who was known before still may')
})

run({
  async before () {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-ui-'))
    const file = path.join(directory, 'weir.conf')
    fs.writeFileSync(file, CONFIG)
    server = await started(file)
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] })
  },
  async after () {
    await browser.close()
    await server.stop()
    fs.rmSync(directory, { recursive: true, force: true })
  },
  atOnce: 2
})
