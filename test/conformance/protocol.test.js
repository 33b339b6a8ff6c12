// SPDX-License-Identifier: Apache-2.0
// The client protocol of core NATS byte by byte, over a bare socket: what clients send and get when everything is in order.
'use strict'

const assert = require('assert')
const { test, run } = require('./lib/tap')
const { Raw } = require('./lib/raw')
const { Server, isPeer } = require('./lib/server')
const { unique } = require('./lib/wait')

let server

async function connect (t, options) {
  const raw = await Raw.connect(server, options)
  t.after(() => raw.destroy())
  return raw
}

for (const name of ['"caf\xe9"', '"\xed\xa0\x80"', '"\\ud800"', '"\xff\xfe"']) {
  test(`CO-P02 CONNECT with ${JSON.stringify(name)} for a name is taken`, async (t) => {
    const raw = await Raw.open(server)
    t.after(() => raw.destroy())
    raw.send(Buffer.from(`CONNECT {"verbose":true,"name":${name},"user":"\xe9"}\r\n`, 'latin1'))
    assert.deepStrictEqual(await raw.flush(), ['+OK'])
  })
}

test('CO-P01 INFO is the first line, a JSON object with the fields clients read', async (t) => {
  const raw = await Raw.open(server)
  t.after(() => raw.destroy())
  const info = raw.info
  assert.match(info.server_id, /^N[A-Z2-7]{55}$/)
  assert.ok(info.server_name.length > 0)
  assert.strictEqual(info.proto, 1)
  assert.ok(info.go.length > 0)
  assert.strictEqual(info.host, '127.0.0.1')
  assert.strictEqual(info.port, server.port)
  assert.strictEqual(info.headers, true)
  assert.strictEqual(info.max_payload, 1048576)
  assert.ok(Number.isInteger(info.client_id) && info.client_id > 0)
  assert.strictEqual(info.client_ip, '127.0.0.1')
  for (const absent of ['auth_required', 'tls_required', 'tls_verify', 'nonce', 'ldm', 'jetstream']) assert.ok(!info[absent], absent)
})

if (!isPeer) {
  test('CO-P01 version is that of the protocol met, weir_version ours', async (t) => {
    const { info } = await connect(t)
    assert.strictEqual(info.version, '2.15.0')
    assert.match(info.weir_version, /^\d+\.\d+\.\d+/)
  })
}

test('CO-P02 unknown fields of CONNECT are ignored, and CONNECT may be lower case and spaced', async (t) => {
  const raw = await Raw.open(server)
  t.after(() => raw.destroy())
  raw.send('connect   {"verbose":false,"pedantic":false,"new_thing":{"a":[1,2,{"b":null}]},"lang":"x","version":"1","name":"\\u00e4"}  \r\n')
  assert.deepStrictEqual(await raw.flush(), [])
})

test('CO-P02 a second CONNECT changes the options', async (t) => {
  const raw = await connect(t, { verbose: true })
  assert.strictEqual(await raw.line(), '+OK')
  raw.send('CONNECT {"verbose":false,"pedantic":false}\r\n')
  assert.deepStrictEqual(await raw.flush(), [])
  raw.send('SUB a 1\r\n')
  assert.deepStrictEqual(await raw.flush(), [])
})

test('CO-P03 PUB with and without a reply, with blanks and tabs between words', async (t) => {
  const raw = await connect(t)
  const a = unique('pub')
  raw.send(`SUB ${a} 1\r\nPUB ${a} 5\r\nhello\r\nPUB ${a} r.x 2\r\nhi\r\nPUB  ${a}\t 0 \r\n\r\n`)
  assert.deepStrictEqual(await raw.flush(), [`MSG ${a} 1 5\r\nhello`, `MSG ${a} 1 r.x 2\r\nhi`, `MSG ${a} 1 0\r\n`])
})

test('CO-P03 a line may end with a bare LF', async (t) => {
  const raw = await connect(t)
  const a = unique('lf')
  raw.send(`SUB ${a} 1\nPUB ${a} 2\nhi\r\n`)
  assert.deepStrictEqual(await raw.flush(), [`MSG ${a} 1 2\r\nhi`])
})

test('CO-P03 operations may be cut anywhere', async (t) => {
  const raw = await connect(t)
  const a = unique('cut')
  const whole = `SUB ${a} 1\r\nPUB ${a} re.ply 11\r\nhello\r\nworl\r\nHPUB ${a} 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\n`
  for (const byte of whole) {
    raw.send(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.strictEqual(await raw.line(), `MSG ${a} 1 re.ply 11\r\nhello\r\nworl`)
  assert.strictEqual(await raw.line(), `HMSG ${a} 1 12 14\r\nNATS/1.0\r\n\r\nhi`)
  assert.strictEqual(await raw.line(), 'PONG')
})

test('CO-P04 HPUB becomes HMSG with the same header block', async (t) => {
  const raw = await connect(t)
  const a = unique('hpub')
  const header = 'NATS/1.0 100 Idle\r\nA: b\r\nA:c\r\n\r\n'
  raw.send(`SUB ${a} 1\r\nHPUB ${a} ${header.length} ${header.length + 4}\r\n${header}body\r\n`)
  raw.send(`HPUB ${a} r ${header.length} ${header.length}\r\n${header}\r\n`)
  assert.deepStrictEqual(await raw.flush(), [
    `HMSG ${a} 1 ${header.length} ${header.length + 4}\r\n${header}body`,
    `HMSG ${a} 1 r ${header.length} ${header.length}\r\n${header}`])
})

test('CO-P04 a client that has no headers gets the body alone', async (t) => {
  const raw = await connect(t)
  const old = await connect(t, { headers: false, no_responders: false })
  const a = unique('old')
  old.send(`SUB ${a} 7\r\n`)
  await old.flush()
  raw.send(`HPUB ${a} 16 20\r\nNATS/1.0\r\nA:\r\n\r\nbody\r\n`.replace('16 20', `${'NATS/1.0\r\nA:\r\n\r\n'.length} ${'NATS/1.0\r\nA:\r\n\r\n'.length + 4}`))
  await raw.flush()
  assert.strictEqual(await old.line(), `MSG ${a} 7 4\r\nbody`)
})

test('CO-P05 a sid may be any word; it comes back with the message', async (t) => {
  const raw = await connect(t)
  const a = unique('sid')
  raw.send(`SUB ${a} x-Y_1\r\nPUB ${a} 0\r\n\r\n`)
  assert.deepStrictEqual(await raw.flush(), [`MSG ${a} x-Y_1 0\r\n`])
})

test('CO-P05 UNSUB of an unknown sid is no error, and a sid can be used again', async (t) => {
  const raw = await connect(t)
  const a = unique('again')
  raw.send(`UNSUB 1\r\nSUB ${a} 1\r\nUNSUB 1\r\nPUB ${a} 1\r\nx\r\nSUB ${a} 1\r\nPUB ${a} 1\r\ny\r\n`)
  assert.deepStrictEqual(await raw.flush(), [`MSG ${a} 1 1\r\ny`])
})

test('CO-P06 MSG and HMSG name the subject, the sid, the reply and the sizes', async (t) => {
  const raw = await connect(t)
  const a = unique('msg')
  raw.send(`SUB ${a}.* 11\r\nPUB ${a}.z reply.to 3\r\nabc\r\nHPUB ${a}.z 12 12\r\nNATS/1.0\r\n\r\n\r\n`)
  assert.deepStrictEqual(await raw.flush(), [`MSG ${a}.z 11 reply.to 3\r\nabc`, `HMSG ${a}.z 11 12 12\r\nNATS/1.0\r\n\r\n`])
})

test('CO-P07 verbs in any case', async (t) => {
  const raw = await connect(t)
  const a = unique('case')
  raw.send(`sub ${a} 1\r\npub ${a} 1\r\nx\r\nPuB ${a} 1\r\ny\r\nhPub ${a} 12 13\r\nNATS/1.0\r\n\r\nz\r\nunsub 1\r\npOnG\r\nping\r\n`)
  assert.deepStrictEqual(await raw.flush(), [`MSG ${a} 1 1\r\nx`, `MSG ${a} 1 1\r\ny`, `HMSG ${a} 1 12 13\r\nNATS/1.0\r\n\r\nz`])
  assert.strictEqual(await raw.line(), 'PONG')
})

test('CO-P07 PING is answered in its place among other operations', async (t) => {
  const raw = await connect(t)
  const a = unique('place')
  raw.send(`SUB ${a} 1\r\nPUB ${a} 1\r\n1\r\nPING\r\nPUB ${a} 1\r\n2\r\nPING\r\n`)
  const lines = [await raw.line(), await raw.line(), await raw.line(), await raw.line()]
  assert.deepStrictEqual(lines, [`MSG ${a} 1 1\r\n1`, 'PONG', `MSG ${a} 1 1\r\n2`, 'PONG'])
})

test('CO-P08 a subscription with an invalid subject is refused, the connection goes on', async (t) => {
  const raw = await connect(t)
  for (const subject of ['a..b', '.a', 'a.', '.', 'a.>.b', '>.a', '..']) {
    raw.send(`SUB ${subject} 1\r\n`)
    assert.deepStrictEqual(await raw.flush(), ["-ERR 'Invalid Subject'"], subject)
  }
})

test('CO-P08 blanks end a subject, other bytes belong to it', async (t) => {
  const raw = await connect(t)
  const a = unique('ütf')
  raw.send(`SUB ${a}.$%&/()=? 1\r\nPUB ${a}.$%&/()=? 0\r\n\r\n`)
  const [line] = await raw.flush()
  assert.strictEqual(Buffer.from(line, 'latin1').toString(), `MSG ${a}.$%&/()=? 1 0\r\n`)
})

test('CO-P10 the answer is a 503 with nothing in it', async (t) => {
  const raw = await connect(t)
  const a = unique('nobody')
  raw.send(`SUB inbox.* 1\r\nPUB ${a} inbox.1 2\r\nhi\r\n`)
  const [line] = await raw.flush()
  const header = isPeer ? 'NATS/1.0 503\r\n\r\n' : `NATS/1.0 503\r\nNats-Subject: ${a}\r\n\r\n`
  assert.strictEqual(line, `HMSG inbox.1 1 ${header.length} ${header.length}\r\n${header}`)
})

test('CO-P10 a client that did not ask for it is told nothing', async (t) => {
  const raw = await connect(t, { no_responders: false })
  raw.send(`SUB inbox.* 1\r\nPUB ${unique('nobody')} inbox.1 2\r\nhi\r\n`)
  assert.deepStrictEqual(await raw.flush(), [])
})

test('CO-P11 UNSUB with a number ends after so many messages since SUB', async (t) => {
  const raw = await connect(t)
  const a = unique('max')
  const publish = `PUB ${a} 0\r\n\r\n`
  raw.send(`SUB ${a} 1\r\n${publish}UNSUB 1 3\r\n${publish.repeat(5)}`)
  assert.strictEqual((await raw.flush()).length, 3)
  raw.send(`SUB ${a} 2\r\n${publish.repeat(2)}UNSUB 2 2\r\n${publish}`)
  assert.strictEqual((await raw.flush()).length, 2)
})

test('CO-P11 a member of a queue group that has had its number leaves the rest to others', async (t) => {
  const raw = await connect(t)
  const a = unique('maxgroup')
  raw.send(`SUB ${a} q 1\r\nUNSUB 1 2\r\nSUB ${a} q 2\r\n` + `PUB ${a} 0\r\n\r\n`.repeat(200))
  const lines = await raw.flush()
  assert.strictEqual(lines.length, 200)
  assert.strictEqual(lines.filter((line) => line.startsWith(`MSG ${a} 1 `)).length, 2)
})

test('CO-P12 echo false: own messages do not come back', async (t) => {
  const raw = await connect(t, { echo: false })
  const other = await connect(t)
  const a = unique('echo')
  raw.send(`SUB ${a} 1\r\nPUB ${a} 3\r\nown\r\n`)
  assert.deepStrictEqual(await raw.flush(), [])
  other.send(`PUB ${a} 5\r\nother\r\n`)
  assert.strictEqual(await raw.line(), `MSG ${a} 1 5\r\nother`)
})

test('CO-P13 verbose: each operation is confirmed in order', async (t) => {
  const raw = await connect(t, { verbose: true })
  const a = unique('ok')
  raw.send(`SUB ${a} 1\r\nPUB ${a} 2\r\nhi\r\nUNSUB 1\r\nPING\r\n`)
  const lines = []
  while (lines[lines.length - 1] !== 'PONG') lines.push(await raw.line())
  assert.deepStrictEqual(lines.filter((line) => !line.startsWith('MSG')), ['+OK', '+OK', '+OK', '+OK', 'PONG'])
  assert.strictEqual(lines.filter((line) => line.startsWith('MSG')).length, 1)
})

test('CO-P13 a client that sends no CONNECT is verbose', async (t) => {
  const raw = await Raw.open(server)
  t.after(() => raw.destroy())
  raw.send(`SUB ${unique('quiet')} 1\r\n`)
  assert.strictEqual(await raw.line(), '+OK')
})

test('CO-P13 pedantic: a publish to an invalid subject is told', async (t) => {
  const raw = await connect(t, { pedantic: true })
  for (const subject of ['a..b', 'a.*', 'a.>', '.a']) {
    raw.send(`PUB ${subject} 0\r\n\r\n`)
    assert.deepStrictEqual(await raw.flush(), ["-ERR 'Invalid Publish Subject'"], subject)
  }
})

test('CO-P13 not pedantic: it is not', async (t) => {
  const raw = await connect(t)
  raw.send('PUB a..b 0\r\n\r\nPUB a.* 0\r\n\r\n')
  assert.deepStrictEqual(await raw.flush(), [])
})

test('CO-P19 a reply goes to the inbox of the requester alone', async (t) => {
  const requester = await connect(t)
  const other = await connect(t)
  const server = await connect(t)
  const a = unique('service')
  const inbox = `_INBOX.${unique('i')}`
  server.send(`SUB ${a} 1\r\n`)
  other.send(`SUB ${inbox}x.* 1\r\n`)
  await server.flush()
  await other.flush()
  requester.send(`SUB ${inbox}.* 9\r\nPUB ${a} ${inbox}.22 1\r\nq\r\n`)
  assert.strictEqual(await server.line(), `MSG ${a} 1 ${inbox}.22 1\r\nq`)
  server.send(`PUB ${inbox}.22 1\r\na\r\n`)
  assert.strictEqual(await requester.line(), `MSG ${inbox}.22 9 1\r\na`)
  assert.deepStrictEqual(await other.flush(), [])
})

run({
  before: async () => { server = await Server.start() },
  after: () => server.stop()
})
