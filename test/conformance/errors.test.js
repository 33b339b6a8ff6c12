// SPDX-License-Identifier: Apache-2.0
// Core NATS where something is wrong: error texts, malformed input, limits, slow and silent clients, over a bare socket.
// Where nats-server closes without a word, Weir says what was wrong.
'use strict'

const assert = require('assert')
const nats = require('nats')
const { test, run } = require('./lib/tap')
const { Raw } = require('./lib/raw')
const { Server, isPeer } = require('./lib/server')
const { unique, until, within } = require('./lib/wait')

let server

async function open (t, to = server) {
  const raw = await Raw.open(to)
  t.after(() => raw.destroy())
  return raw
}

async function connect (t, options, to = server) {
  const raw = await Raw.connect(to, options)
  t.after(() => raw.destroy())
  return raw
}

async function own (t, flags, options) {
  const started = await Server.start(flags, options)
  t.after(() => started.stop())
  return started
}

const UNKNOWN = 'Unknown Protocol Operation'
const PARSER = 'Parser Error' // nats-server says nothing
const CLOSING = [
  ['an unknown verb', 'FOO bar\r\n', UNKNOWN],
  ['a verb cut short', 'P\r\n', UNKNOWN],
  ['a verb with more letters', 'PUBX a 1\r\nx\r\n', UNKNOWN],
  ['an HTTP request', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', UNKNOWN],
  ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', UNKNOWN],
  ['NUL bytes', '\0\0\0\0\r\n', UNKNOWN],
  ['an empty line', '\r\n', UNKNOWN],
  ['an operation of servers', 'RS+ $G a\r\n', UNKNOWN],
  ['MSG, which only servers send', 'MSG a 1 2\r\nhi\r\n', UNKNOWN],
  ['SUB without words', 'SUB\r\n', UNKNOWN],
  ['SUB with one word', 'SUB a\r\n', PARSER],
  ['SUB with four words', 'SUB a b c d\r\n', PARSER],
  ['UNSUB with three words', 'UNSUB a b c\r\n', PARSER],
  ['PUB without a size', 'PUB a\r\n', PARSER],
  ['PUB with a negative size', 'PUB a -1\r\n', PARSER],
  ['PUB with a size that is no number', 'PUB a x\r\n', PARSER],
  ['PUB with too many words', 'PUB a b c 1\r\nx\r\n', PARSER],
  ['a payload longer than said', 'PUB a 2\r\nabc\r\n', UNKNOWN],
  ['a payload shorter than said', 'PUB a 3\r\nab\r\nPING\r\n', UNKNOWN],
  ['HPUB with a header longer than the whole', 'HPUB a 20 10\r\n', PARSER],
  ['HPUB with one size', 'HPUB a 1\r\n', PARSER],
  ['CONNECT with broken JSON', 'CONNECT {"verbose":\r\n', PARSER],
  ['CONNECT with an array', 'CONNECT []\r\n', PARSER],
  ['CONNECT with a field of another type', 'CONNECT {"verbose":"yes"}\r\n', PARSER],
  ['CONNECT with nothing', 'CONNECT\r\n', PARSER],
  ['CONNECT with an unknown protocol', 'CONNECT {"protocol":9}\r\n', 'invalid client protocol'],
  ['no responders without headers', 'CONNECT {"headers":false,"no_responders":true}\r\n', 'no responders requires headers support'],
  ['HPUB from a client without headers', 'CONNECT {"headers":false,"verbose":false}\r\nHPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n',
    'message headers not supported', { peerIsSilent: true }],
  ['a payload over the limit', 'PUB a 1048577\r\n', 'Maximum Payload Violation'],
  ['a payload of absurd size', 'PUB a 99999999999999999999999\r\n', 'Maximum Payload Violation', { peerIsSilent: true }],
  ['a header and payload over the limit', 'HPUB a 1048576 1048577\r\n', 'Maximum Payload Violation', { connect: true }],
  ['a control line over the limit', 'SUB ' + 'a'.repeat(5000) + ' 1\r\n', 'maximum control line exceeded'],
  ['a control line without an end', 'SUB ' + 'a'.repeat(5000), 'maximum control line exceeded'],
  ['a PUB line over the limit', 'PUB ' + 'a'.repeat(5000) + ' 1\r\nx\r\n', 'maximum control line exceeded'],
  ['CONNECT over the limit', 'CONNECT {"name":"' + 'a'.repeat(5000) + '"}\r\n', 'maximum control line exceeded']
]

for (const [what, input, error, options = {}] of CLOSING) {
  test(`CO-P14 ${what}: '${error}', and the connection ends`, async (t) => {
    const raw = options.connect ? await connect(t) : await open(t)
    raw.send(input)
    const lines = await raw.end()
    const silent = isPeer && (error === PARSER || options.peerIsSilent)
    assert.deepStrictEqual(lines, silent ? [] : [`-ERR '${error}'`])
  })
}

test('CO-P14 bad input of one client does nothing to another', async (t) => {
  const bystander = await connect(t)
  const a = unique('bystander')
  bystander.send(`SUB ${a} 1\r\n`)
  await bystander.flush()
  for (const [, input, , options = {}] of CLOSING) {
    const raw = await open(t)
    raw.send(input)
    await raw.end()
  }
  bystander.send(`PUB ${a} 1\r\nx\r\n`)
  assert.deepStrictEqual(await bystander.flush(), [`MSG ${a} 1 1\r\nx`])
})

test('CO-P14 random bytes end in an error or a closed connection', async (t) => {
  let state = 12345 // a fixed sequence, so that a failure can be repeated
  const random = () => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return state >>> 16 }
  const words = ['PUB', 'SUB', 'HPUB', 'UNSUB', 'CONNECT', 'PING', 'PONG', ' ', ' ', '\r\n', '\r', '\n', '1', '12', 'a', '{', '}', '"', '\0', '\xff', '-ERR', '+OK', 'NATS/1.0']
  for (let round = 0; round < 60; round++) {
    const raw = await connect(t)
    let input = ''
    for (let i = 0; i < 200; i++) input += words[random() % words.length]
    raw.send(Buffer.from(input + '\r\nFOO\r\n\r\nFOO\r\n', 'latin1'))
    await raw.end()
  }
  assert.deepStrictEqual(await (await connect(t)).flush(), [])
})

test('CO-P14 invalid subjects: told, and the connection goes on', async (t) => {
  const raw = await connect(t, { pedantic: true })
  raw.send('SUB a..b 1\r\n')
  assert.deepStrictEqual(await raw.flush(), ["-ERR 'Invalid Subject'"])
  raw.send('PUB a.* 0\r\n\r\n')
  assert.deepStrictEqual(await raw.flush(), ["-ERR 'Invalid Publish Subject'"])
})

test('CO-P14 the longest control line that is allowed works', async (t) => {
  const raw = await connect(t)
  const subject = unique('long') + 'x'.repeat(4000)
  raw.send(`SUB ${subject} 1\r\nPUB ${subject} 1\r\nx\r\n`)
  assert.deepStrictEqual(await raw.flush(), [`MSG ${subject} 1 1\r\nx`])
})

test('CO-P14 an error of the client ends the connection', async (t) => {
  const raw = await connect(t)
  raw.send("-ERR 'whatever'\r\n")
  assert.deepStrictEqual(await raw.end(), [])
})

/** Publishes until `condition`, in pieces that the publisher's own connection has taken. */
async function flood (publisher, subject, condition) {
  const payload = new Uint8Array(256 * 1024)
  let count = 0
  for (; !(await condition()); count += 16) {
    for (let i = 0; i < 16; i++) publisher.publish(subject, payload)
    await publisher.flush()
    if (count > 4000) throw new Error('a gigabyte was not enough')
  }
  return count
}

if (!isPeer) {
  test('CO-P14 a reader that takes nothing is closed as a Slow Consumer, others get everything', { alone: true }, async (t) => {
    const small = await own(t, ['-max_pending', '4M', '-write_deadline', '60s'], { http: true })
    const publisher = await nats.connect({ servers: small.url, reconnect: false })
    const healthy = await nats.connect({ servers: small.url, reconnect: false })
    t.after(() => publisher.close())
    t.after(() => healthy.close())
    let received = 0
    healthy.subscribe('flood', { callback: () => { received++ } })
    await healthy.flush()
    const slow = await connect(t, {}, small)
    slow.send('SUB flood 1\r\n')
    await slow.flush()
    slow.socket.pause()
    const sent = await flood(publisher, 'flood', async () => (await small.page('/varz')).slow_consumers > 0)
    await until(() => received === sent, 'the healthy reader gets everything')
    slow.frames.items = []
    slow.socket.resume()
    await slow.end()
    const varz = await small.page('/varz')
    assert.strictEqual(varz.slow_consumers, 1)
    assert.strictEqual(varz.connections, 2)
    assert.match(small.log, /slow consumer/i)
  })

  test('CO-P14 a reader that takes nothing for write_deadline is closed', { alone: true }, async (t) => {
    const strict = await own(t, ['-max_pending', '1G', '-write_deadline', '300ms'], { http: true })
    const publisher = await nats.connect({ servers: strict.url, reconnect: false })
    t.after(() => publisher.close())
    const slow = await connect(t, {}, strict)
    slow.send('SUB flood 1\r\n')
    await slow.flush()
    slow.socket.pause()
    let varz
    await flood(publisher, 'flood', async () => { varz = await strict.page('/varz'); return varz.pending_bytes > 1 << 20 || varz.slow_consumers > 0 })
    await until(async () => { varz = await strict.page('/varz'); return varz.slow_consumers === 1 }, 'the slow reader is noticed')
    // It stays for as long again, so that it can be told.
    await until(async () => (await strict.page('/varz')).connections === 1, 'the slow reader is gone')
    slow.socket.resume()
    await slow.end()
  })

  test('CO-P14 a client that does not answer pings: \'Stale Connection\'', async (t) => {
    const impatient = await own(t, ['-ping_interval', '100ms', '-ping_max', '2'])
    const raw = await connect(t, {}, impatient)
    const lines = await raw.end()
    assert.deepStrictEqual(lines, ['PING', 'PING', "-ERR 'Stale Connection'"])
  })

  test('CO-P14 a client that answers pings stays', { alone: true }, async (t) => {
    const impatient = await own(t, ['-ping_interval', '100ms', '-ping_max', '3'])
    const raw = await connect(t, {}, impatient)
    for (let i = 0; i < 10; i++) {
      assert.strictEqual(await raw.line(), 'PING')
      raw.send('PONG\r\n')
    }
    assert.deepStrictEqual(await raw.flush(), [])
  })

  test('CO-P14 one connection too many: \'maximum connections exceeded\'', async (t) => {
    const full = await own(t, ['-max_connections', '2'])
    const first = await connect(t, {}, full)
    const second = await connect(t, {}, full)
    await first.flush()
    await second.flush()
    const third = await open(t, full)
    assert.deepStrictEqual(await third.end(), ["-ERR 'maximum connections exceeded'"])
    first.destroy()
    await until(async () => {
      const again = await open(t, full)
      again.send('CONNECT {"verbose":false}\r\nPING\r\n')
      const line = await again.line()
      again.destroy()
      return line === 'PONG'
    }, 'there is room again')
  })

  test('CO-P14 one subscription too many: \'maximum subscriptions exceeded\', and the connection goes on', async (t) => {
    const few = await own(t, ['-max_subscriptions', '2'])
    const raw = await connect(t, {}, few)
    raw.send('SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n')
    assert.deepStrictEqual(await raw.flush(), ["-ERR 'maximum subscriptions exceeded'"])
    raw.send('UNSUB 1\r\nSUB c 3\r\nPUB c 0\r\n\r\n')
    assert.deepStrictEqual(await raw.flush(), ['MSG c 3 0\r\n'])
  })

  test('CO-P14 a smaller max_control_line and max_payload are kept', async (t) => {
    const tight = await own(t, ['-max_control_line', '512', '-max_payload', '1K'])
    for (const [input, error] of [['SUB ' + 'a'.repeat(600) + ' 1\r\n', 'maximum control line exceeded'], ['PUB a 1025\r\n', 'Maximum Payload Violation']]) {
      const raw = await connect(t, {}, tight)
      raw.send(input)
      assert.deepStrictEqual(await raw.end(), [`-ERR '${error}'`])
    }
  })

  test('CO-P14 a server that stops sends what it still has, and ends the connection', async (t) => {
    const short = await Server.start()
    const raw = await connect(t, {}, short)
    raw.send('SUB a 1\r\nPUB a 1\r\nx\r\n')
    await raw.flush()
    await short.stop()
    const lines = await raw.end()
    assert.ok(lines.every((line) => line === "-ERR 'Server Shutdown'"), lines.join())
  })
}

test('CO-P16 the defaults are visible in INFO and /varz', async (t) => {
  const fresh = await own(t, [], { http: true })
  const varz = await fresh.page('/varz')
  assert.strictEqual(varz.max_connections, 65536)
  assert.strictEqual(varz.max_control_line, 4096)
  assert.strictEqual(varz.max_payload, 1048576)
  assert.strictEqual(varz.max_pending, 67108864)
  assert.strictEqual(varz.ping_interval, 120000000000)
  assert.strictEqual(varz.ping_max, 2)
  assert.strictEqual(varz.write_deadline, 10000000000)
  assert.strictEqual(varz.auth_timeout, isPeer ? varz.auth_timeout : 2)
  assert.strictEqual(varz.tls_timeout, 2)
  assert.strictEqual(varz.port, fresh.port)
  if (!isPeer) assert.strictEqual(varz.version, '2.15.0')
  if (!isPeer) assert.match(varz.weir_version, /^\d+\.\d+\.\d+/)
  const raw = await open(t, fresh)
  assert.strictEqual(raw.info.max_payload, varz.max_payload)
  assert.strictEqual(raw.info.server_id, varz.server_id)
})

test('CO-P16 the first ping comes early, to measure the round trip', { alone: true }, async (t) => {
  const raw = await connect(t)
  assert.strictEqual(await within(raw.line(), 'a first PING', 8000), 'PING')
})

run({
  before: async () => { server = await Server.start() },
  after: () => server.stop()
})
