// SPDX-License-Identifier: Apache-2.0
// The pages of the monitoring port (CO-H01…H11): names and types of fields as recorded from nats-server 2.15.1 (recorded/), parameters and
// errors as Debian's nats-server has them (WEIR=/usr/sbin/nats-server runs the parts that do not need the recordings against it).
'use strict'

const assert = require('assert')
const fs = require('fs')
const path = require('path')
const nats = require('nats')
const { recorded, get: getPage, json: getJson, sameShape } = require('./lib/page')
const { test, run } = require('./lib/tap')
const { Raw } = require('./lib/raw')
const { Server, isPeer } = require('./lib/server')
const { until } = require('./lib/wait')

let server

const get = (page, from = server) => getPage(page, from)
const json = (page, from = server) => getJson(page, from)

async function connect (t, options = {}, to = server) {
  const client = await nats.connect({ servers: `127.0.0.1:${to.port}`, reconnect: false, ...options })
  t.after(() => client.close())
  return client
}

async function own (t, flags = []) {
  const started = await Server.start(flags, { http: true })
  t.after(() => started.stop())
  return started
}

test('CO-H02 /varz has the recorded names and types', async () => {
  // What JetStream shows comes with JetStream; a configuration file's digest with a configuration file.
  sameShape(await json('/varz'), recorded('varz'),
    ['auth_required', 'jetstream.config', 'jetstream.stats', 'jetstream.limits', 'config_digest', 'feature_flags', 'disk_io_wait_stats'])
})

test('CO-H03 /connz has the recorded names and types', async (t) => {
  const client = await connect(t, { name: 'recorder' })
  client.subscribe('connz.a')
  await client.flush()
  await client.rtt()
  const page = await json('/connz')
  sameShape(page, recorded('connz'), ['connections[].rtt'])
  const found = page.connections.find((one) => one.name === 'recorder')
  assert.strictEqual(found.ip, '127.0.0.1')
  assert.strictEqual(found.lang, 'nats.js')
  assert.strictEqual(found.subscriptions, 1)
  assert.ok(!('subscriptions_list' in found) && !('account' in found))
})

test('CO-H03 /connz measures the round trip', async (t) => {
  if (isPeer) return
  const client = await connect(t, { name: 'far' })
  await until(async () => /^[\d.]+(µs|ms|s)$/.test((await json('/connz')).connections.find((one) => one.name === 'far').rtt), 'rtt', 6000)
  assert.ok(client)
})

test('CO-H03 /connz lists subscriptions and accounts of open and closed connections', async (t) => {
  const from = await own(t)
  const gone = await nats.connect({ servers: `127.0.0.1:${from.port}`, name: 'gone' })
  gone.subscribe('old.>', { queue: 'workers' })
  await gone.flush()
  await gone.close()
  const client = await connect(t, { name: 'here' }, from)
  client.subscribe('new.*')
  for (let i = 0; i < 3; i++) client.publish('new.x', 'hello')
  await client.flush()
  await until(async () => (await json('/connz?state=closed', from)).connections.length === 1, 'the closed connection is listed')
  const page = await json('/connz?subs=detail&auth=1&state=all', from)
  const wanted = recorded('connz-subs-auth')
  wanted.connections = wanted.connections.slice(0, 1)
  sameShape(page, wanted, ['connections[].rtt', 'connections[].authorized_user'])
  assert.strictEqual(page.total, 2)
  const [first, second] = page.connections
  assert.strictEqual(first.name, 'gone')
  assert.strictEqual(first.reason, 'Client Closed')
  assert.deepStrictEqual(first.subscriptions_list_detail.map((one) => [one.subject, one.qgroup]), [['old.>', 'workers']])
  assert.strictEqual(second.name, 'here')
  assert.ok(!('stop' in second))
  const [subscription] = second.subscriptions_list_detail
  assert.deepStrictEqual([subscription.subject, subscription.msgs, subscription.cid, subscription.account], ['new.*', 3, second.cid, '$G'])
  assert.deepStrictEqual([second.in_msgs, second.in_bytes, second.out_msgs, second.out_bytes], [3, 15, 3, 15])
  const names = await json('/connz?subs=1', from)
  assert.deepStrictEqual(names.connections[0].subscriptions_list, ['new.*'])
})

test('CO-H03 /connz says why connections were closed', async (t) => {
  const from = await own(t)
  const raw = await Raw.connect(from, { verbose: false, pedantic: false })
  raw.send('FOO\r\n')
  await raw.end()
  await until(async () => (await json('/connz?state=closed', from)).connections.length === 1, 'it is listed')
  const page = await json('/connz?state=closed&sort=reason', from)
  assert.strictEqual(page.connections[0].reason, 'Protocol Violation')
})

test('CO-H03 /connz sorts, cuts and finds', async (t) => {
  const from = await own(t)
  const clients = []
  for (let i = 0; i < 5; i++) {
    const client = await connect(t, { name: `c${i}` }, from)
    for (let k = 0; k < (i * 3) % 5; k++) client.publish('sorted', 'x'.repeat(i + 1))
    for (let k = 0; k < i; k++) client.subscribe(`s.${k}`)
    await client.flush()
    clients.push(client)
  }
  const names = async (query) => (await json(`/connz?${query}`, from)).connections.map((one) => one.name).join(' ')
  assert.strictEqual(await names(''), 'c0 c1 c2 c3 c4')
  assert.strictEqual(await names('sort=start'), 'c0 c1 c2 c3 c4')
  assert.strictEqual(await names('sort=subs'), 'c4 c3 c2 c1 c0')
  assert.strictEqual(await names('sort=msgs_from'), 'c3 c1 c4 c2 c0')
  assert.strictEqual(await names('sort=bytes_from&limit=2'), 'c3 c4')
  assert.strictEqual(await names('offset=3'), 'c3 c4')
  assert.strictEqual(await names('offset=1&limit=2'), 'c1 c2')
  assert.strictEqual(await names('offset=9'), '')
  const page = await json('/connz?offset=1&limit=2', from)
  assert.deepStrictEqual([page.num_connections, page.total, page.offset, page.limit], [2, 5, 1, 2])
  const cid = (await json('/connz', from)).connections[2].cid
  assert.strictEqual(await names(`cid=${cid}`), 'c2')
  assert.strictEqual(await names('cid=4711'), '')
})

const REFUSED = [
  ['/connz?sort=foo', 'invalid sorting option: foo'],
  ['/connz?limit=x', 'Error decoding int for \'limit\': strconv.Atoi: parsing "x": invalid syntax'],
  ['/connz?state=foo', 'Error decoding state for foo'],
  ['/connz?sort=stop', 'sort by stop only valid on closed connections'],
  ['/connz?subs=foo', 'Error decoding boolean for \'subs\': strconv.ParseBool: parsing "foo": invalid syntax'],
  ['/connz?auth=2', 'Error decoding boolean for \'auth\': strconv.ParseBool: parsing "2": invalid syntax'],
  ['/subsz?offset=9999999999999999999', 'Error decoding int for \'offset\': strconv.Atoi: parsing "9999999999999999999": value out of range'],
  ['/subsz?test=foo.%3E', 'invalid test subject, must be valid publish subject: foo.>'],
  ['/accountz?acc=nope', 'Account nope does not exist']
]

for (const [page, text] of REFUSED) {
  test(`CO-H03 ${page} is refused`, async () => {
    const answer = await get(page)
    assert.strictEqual(answer.status, 400)
    assert.strictEqual(answer.text.trim(), text)
  })
}

// As several scrapers with several pages each do: whoever comes late waits, nobody is refused.
test('CO-H03 forty pages at once are all answered', async () => {
  const pages = ['/connz?subs=detail', '/subsz?subs=1', '/accountz', '/accstatz?unused=1']
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => json(pages[i % pages.length])))
  for (const answer of answers) assert.strictEqual(answer.server_id, answers[0].server_id)
})

test('CO-H04 /routez has the recorded names and types', async () => sameShape(await json('/routez'), recorded('routez'), isPeer ? ['server_name'] : []))
test('CO-H05 /gatewayz says none', async () => sameShape(await json('/gatewayz'), { server_id: '', now: '', outbound_gateways: {}, inbound_gateways: {} }, []))
test('CO-H06 /leafz has the recorded names and types', async () => { if (!isPeer) sameShape(await json('/leafz'), recorded('leafz'), []) })

test('CO-H07 /subsz has the recorded names and types, finds and cuts', async (t) => {
  const client = await connect(t)
  client.subscribe('subsz.one')
  client.subscribe('subsz.*', { queue: 'q' })
  client.subscribe('other')
  await client.flush()
  const page = await json('/subsz?subs=1&acc=$G')
  sameShape(page, recorded('subsz'), isPeer ? ['server_id', 'now'] : [])
  const subjects = page.subscriptions_list.map((one) => one.subject)
  for (const subject of ['subsz.one', 'subsz.*', 'other']) assert.ok(subjects.includes(subject))
  const tested = await json('/subscriptionsz?subs=1&test=subsz.one&acc=$G')
  assert.deepStrictEqual(tested.subscriptions_list.map((one) => one.subject).sort(), ['subsz.*', 'subsz.one'])
  assert.strictEqual(tested.subscriptions_list.find((one) => one.subject === 'subsz.*').qgroup, 'q')
  assert.strictEqual((await json('/subsz?subs=1&limit=1&acc=$G')).subscriptions_list.length, 1)
  assert.ok(!('subscriptions_list' in await json('/subsz')))
})

test('CO-H09 /accountz has the recorded names and types', async () => {
  sameShape(await json('/accountz'), recorded('accountz'), [])
  const one = recorded('accountz-A')
  sameShape(await json('/accountz?acc=$G'), one, ['account_detail.imports'])
})

test('CO-H09 /accountz shows exports and imports', async (t) => {
  const file = path.join(fs.mkdtempSync(path.join(require('os').tmpdir(), 'weir-monitoring-')), 'server.conf')
  fs.writeFileSync(file, 'accounts {\n A { exports: [ {stream: "news.>", accounts: [B]}, {service: "help"} ] }\n' +
    ' B { imports: [ {stream: {account: A, subject: "news.>"}, prefix: "a"}, {service: {account: A, subject: "help"}, to: "ask"} ] }\n}\n')
  t.after(() => fs.rmSync(path.dirname(file), { recursive: true }))
  const from = await own(t, ['-c', file])
  const detail = (await json('/accountz?acc=B', from)).account_detail
  sameShape(detail, recorded('accountz-A').account_detail, [])
  const imports = detail.imports.filter((one) => one.account === 'A').map((one) => [one.subject, one.type, one.local_subject])
  assert.deepStrictEqual(imports, [['news.>', 'stream', 'a.news.>'], ['help', 'service', 'ask']])
  const exports = (await json('/accountz?acc=A', from)).account_detail.exports
  if (!isPeer) assert.deepStrictEqual(exports.map((one) => [one.subject, one.type, one.approved_accounts]), [['news.>', 'stream', ['B']], ['help', 'service', undefined]])
})

test('CO-H09 /accstatz counts per account', async (t) => {
  const client = await connect(t)
  await client.flush()
  const page = await json('/accstatz')
  const global = page.account_statz.find((one) => one.acc === '$G')
  sameShape(global, { acc: '', conns: 1, leafnodes: 0, total_conns: 1, sent: { msgs: 0, bytes: 0 }, received: { msgs: 0, bytes: 0 }, slow_consumers: 0 }, [])
  assert.ok(global.conns >= 1)
  assert.ok((await json('/accstatz?unused=1')).account_statz.length >= page.account_statz.length)
})

test('CO-H10 /jsz says that JetStream is off where nothing is stored', async (t) => {
  const page = await json('/jsz?accounts=true&consumers=true&config=true', await own(t, isPeer ? [] : ['--streaming=false']))
  assert.strictEqual(page.disabled, true)
  sameShape(page, { memory: 0, storage: 0, accounts: 0, streams: 0, consumers: 0, messages: 0, bytes: 0, api: { total: 0, errors: 0 } }, [])
})

test('CO-H01 what only another program has inside is not made up', async () => {
  assert.deepStrictEqual(await json('/ipqueuesz'), {})
  const stacks = await get('/stacksz')
  if (!isPeer) assert.deepStrictEqual([stacks.status, stacks.text.includes('eu-stack')], [404, true])
})

test('CO-H01 answers are dated', async () => {
  const { date } = await get('/varz')
  assert.match(date, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/)
  assert.ok(Math.abs(Date.parse(date) - Date.now()) < 60000, date)
})

test('CO-H11 /healthz is well', async () => {
  for (const query of ['', '?js-enabled=true', '?js-server-only=1', '?js-enabled-only=true', '?details=true']) {
    assert.strictEqual((await json(`/healthz${query}`)).status, 'ok')
  }
})

test('CO-H11 /healthz is not well in lame duck', async (t) => {
  const from = await own(t, isPeer ? [] : ['--lame_duck_duration', '30s', '--lame_duck_grace_period', '5s'])
  if (isPeer) return
  await connect(t, {}, from)
  assert.strictEqual((await get('//healthz', from)).status, 200)
  from.child.kill('SIGUSR2')
  await until(async () => (await get('/healthz', from)).status === 503, 'it says so')
  assert.strictEqual(JSON.parse((await get('/healthz', from)).text).status, 'error')
})

test('CO-H01 / links to the pages, others are not found, JSON comes as JSONP if asked', async () => {
  const index = await get('/')
  assert.ok(index.type.startsWith('text/html') && index.text.includes('connz'))
  assert.strictEqual((await get('/nosuch')).status, 404)
  const wrapped = await get('/varz?callback=show')
  assert.strictEqual(wrapped.type, 'application/javascript')
  assert.ok(wrapped.text.startsWith('show({') && wrapped.text.endsWith('})'))
})

run({
  before: async () => { server = await Server.start([], { http: true }) },
  after: () => server.stop()
})
