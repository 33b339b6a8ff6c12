// SPDX-License-Identifier: Apache-2.0
// Writes what a NATS Streaming server leaves in its --dir (IM-01 … IM-05), byte by byte and with every kind of damage, and knows the
// stores that a real one left. It shares nothing with the program that reads them.
'use strict'

const { execFileSync } = require('child_process')
const crypto = require('crypto')
const fs = require('fs')
const os = require('os')
const path = require('path')

const IEEE = 0xedb88320
const SUB = { NEW: 1, UPDATE: 2, DELETE: 3, ACK: 4, PENDING: 5 }
const AES = 1
const CHACHA = 2

// ---- protobuf

function varint (value) {
  const bytes = []
  for (value = BigInt(value); value >= 128n; value >>= 7n) bytes.push(Number(value & 127n) | 128)
  return Buffer.from([...bytes, Number(value)])
}

/** {1: 'text', 3: 5, 4: true}: the message with these field numbers; what is empty is left out. */
function encode (fields) {
  const parts = []
  for (const [number, value] of Object.entries(fields)) {
    if (typeof value === 'string' || Buffer.isBuffer(value)) {
      const bytes = Buffer.from(value)
      if (bytes.length) parts.push(varint(Number(number) << 3 | 2), varint(bytes.length), bytes)
    } else if (value) {
      parts.push(varint(Number(number) << 3), varint(value === true ? 1 : value))
    }
  }
  return Buffer.concat(parts)
}

const messageOf = (channel, { seq, data = '', reply = '', time = 0 }) => encode({ 1: seq, 2: channel, 3: reply, 4: data, 5: time })
const clientOf = ({ id, inbox = `hb.${id}`, connId = `c.${id}`, protocol = 1, interval = 5, maxOut = 3 }) =>
  encode({ 1: id, 2: inbox, 3: connId, 4: protocol, 5: interval, 6: maxOut })
const subOf = ({ id, client = '', group = '', inbox = '', ackInbox = '', maxInFlight = 10, ackWait = 30, durable = '', lastSent = 0, isDurable = false, isClosed = false }) =>
  encode({ 1: id, 2: client, 3: group, 4: inbox, 5: ackInbox, 6: maxInFlight, 7: ackWait, 8: durable, 9: lastSent, 10: isDurable, 11: isClosed })

// ---- records

function crc32 (bytes, polynomial = IEEE) {
  let value = 0xffffffff
  for (const byte of bytes) {
    value ^= byte
    for (let bit = 0; bit < 8; bit++) value = value >>> 1 ^ (value & 1 ? polynomial : 0)
  }
  return ~value >>> 0
}

/** A record; `check`: the polynomial, or 0 for a store without checks. */
function record (payload, { type = 0, check = IEEE } = {}) {
  const head = Buffer.alloc(8)
  head.writeUInt32LE((type * 2 ** 24 + payload.length) >>> 0, 0)
  head.writeUInt32LE(check ? crc32(payload, check) : 0, 4)
  return Buffer.concat([head, payload])
}

const version = Buffer.from([1, 0, 0, 0])
const file = (records) => Buffer.concat([version, ...records])

/** A payload as the old server encrypts it. */
function seal (data, channel, key, cipher) {
  const hash = (bytes) => crypto.createHash('sha256').update(bytes).digest()
  const text = Buffer.concat([hash(key), Buffer.from(`.${channel}`)])
  const made = hash(Buffer.concat([Buffer.alloc(text.length), text]))
  const nonce = crypto.randomBytes(12)
  const sealer = crypto.createCipheriv(cipher === AES ? 'aes-256-gcm' : 'chacha20-poly1305', made, nonce, { authTagLength: 16 })
  return Buffer.concat([Buffer.from([cipher]), nonce, sealer.update(data), sealer.final(), sealer.getAuthTag()])
}

/**
 * Writes a store. `channels`: { name: { slices: [[{ seq, data, time, reply }]], subs: [[type, fields]], index: true } }; `clients`:
 * fields, or { gone: id }; `check`, `key`, `cipher` as above. Gives the paths of the message files.
 */
function writeStore (directory, { clusterId = 'test-cluster', nodeId = '', clients = [], channels = {}, check = IEEE, key, cipher = AES, prefix = '_STAN' } = {}) {
  const put = (name, bytes) => fs.writeFileSync(path.join(directory, name), bytes)
  const subject = (name) => `${name === 'discover' ? '_STAN' : prefix}.${name}.${clusterId}`
  const info = [clusterId, ...['discover', 'pub', 'sub', 'unsub', 'close', 'subclose', 'ack'].map(subject), nodeId]
  put('server.dat', file([record(encode(Object.fromEntries(info.map((text, i) => [i + 1, text]))), { check })]))
  put('clients.dat', file(clients.map((one) => (one.gone ? record(encode({ 1: one.gone }), { type: 2, check }) : record(clientOf(one), { type: 1, check })))))
  for (const [name, channel] of Object.entries(channels)) {
    fs.mkdirSync(path.join(directory, name))
    for (const [number, messages] of (channel.slices || []).entries()) {
      const sealed = messages.map((one) => (key ? { ...one, data: seal(Buffer.from(one.data || ''), name, key, cipher) } : one))
      const records = sealed.map((one) => record(messageOf(name, one), { check }))
      put(path.join(name, `msgs.${number + 1}.dat`), file(records))
      if (channel.index) put(path.join(name, `msgs.${number + 1}.idx`), indexOf(messages, records))
    }
    put(path.join(name, 'subs.dat'), file((channel.subs || []).map(([type, fields]) =>
      record(type <= SUB.UPDATE ? subOf(fields) : encode({ 1: fields.id, 2: fields.seq }), { type, check }))))
  }
  return directory
}

function indexOf (messages, records) {
  let offset = 4
  return file(messages.map((one, i) => {
    const entry = Buffer.alloc(32)
    entry.writeBigUInt64LE(BigInt(one.seq), 0)
    entry.writeBigUInt64LE(BigInt(offset), 8)
    entry.writeBigUInt64LE(BigInt(one.time || 0), 16)
    entry.writeUInt32LE(records[i].length - 8, 24)
    entry.writeUInt32LE(crc32(entry.subarray(0, 28)), 28)
    offset += records[i].length
    return entry
  }))
}

/** A folder that goes with the test. */
function temporary (t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-filestore-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** What nats-streaming-server 0.25.6 left: { data, channelsz, clientsz } of `plain`, `aes` or `sliced`. */
function recorded (t, name) {
  const directory = temporary(t)
  execFileSync('tar', ['-xzf', path.join(__dirname, '../recorded/stan-stores.tar.gz'), '-C', directory])
  const read = (file) => JSON.parse(fs.readFileSync(path.join(directory, name, file)))
  return { data: path.join(directory, name, 'data'), channelsz: read('channelsz.json'), clientsz: read('clientsz.json') }
}

/** Changes a file: `change` gets its bytes and gives others. */
function damage (directory, name, change) {
  const where = path.join(directory, name)
  fs.writeFileSync(where, change(fs.readFileSync(where)))
}

/** A digest of everything in a folder, and of when it was last changed. */
function fingerprint (directory) {
  const lines = []
  for (const entry of fs.readdirSync(directory, { recursive: true }).sort()) {
    const where = path.join(directory, entry)
    const stat = fs.statSync(where)
    lines.push(`${entry} ${stat.mtimeMs} ${stat.size} ${stat.isFile() ? crypto.createHash('md5').update(fs.readFileSync(where)).digest('hex') : ''}`)
  }
  return lines.join('\n')
}

module.exports = { writeStore, recorded, temporary, damage, fingerprint, record, messageOf, encode, SUB, AES, CHACHA, IEEE }
