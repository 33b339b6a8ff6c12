// SPDX-License-Identifier: Apache-2.0
// What the chaos test's journals must show (ARCHITECTURE.md, section 6), from the clients' side only. Everything here can be proven
// from what clients sent and received, in their order; where the server may have had a reason that no client sees, nothing is said.
//
// Input: {
//   runs:      [{id, killed}]            lives of the server in order; killed: when it was, Infinity for the last
//   stored:    {channel: [{seq, id, timestamp}]}   a subscription from the beginning, at the end
//   producers: [{name, channel, retries, lines}]
//   workers:   [{name, channel, group, ackWaitMs, ended, lines}]   ended: when the process was killed
//   graceMs }
// Gives a list of sentences, empty if all is well.
//
// An ack *counts* when the same server delivered the job before it was sent: after a kill the next server may not know of the last deliveries
// of the one before, and then there is nothing to acknowledge until it delivers again. An ack that counts is *settled* when a publish
// began after the server had confirmed it (a ping behind it) and was answered in the same run: its sync came after the ack.
'use strict'

const SLACK_MS = 20 // timers of the server against ours
const IN_FLIGHT_MS = 5000 // a delivery may have been under way, in buffers of a busy machine, for so long

function check (history) {
  const wrong = []
  const runOf = new Map(history.runs.map((run, index) => [run.id, index]))
  for (const [channel, stored] of Object.entries(history.stored)) checkStored(channel, stored, wrong)
  for (const producer of history.producers) checkProducer(producer, history, wrong)
  const groups = new Map()
  for (const worker of history.workers) {
    checkOrder(worker, wrong)
    const key = `${worker.channel}/${worker.group}`
    groups.set(key, [...(groups.get(key) || []), worker])
  }
  for (const [name, workers] of groups) checkGroup(name, workers, history, runOf, wrong)
  return wrong
}

function checkStored (channel, stored, wrong) {
  stored.forEach((message, index) => {
    if (message.seq !== index + 1) wrong.push(`${channel}: sequence ${message.seq} at place ${index + 1}`)
    if (!message.id) wrong.push(`${channel}: message ${message.seq} is damaged`)
    if (index && message.timestamp < stored[index - 1].timestamp) wrong.push(`${channel}: the time of ${message.seq} goes back`)
  })
  const ids = new Map()
  for (const { id, seq } of stored) {
    if (ids.has(id)) wrong.push(`${channel}: ${id} is stored twice, as ${ids.get(id)} and ${seq}`)
    ids.set(id, seq)
  }
}

function checkProducer ({ name, channel, retries, lines }, history, wrong) {
  const places = new Map(history.stored[channel].map(({ id, seq }) => [id, seq]))
  const sent = new Set()
  let latest = { seq: 0 }
  for (const line of lines) {
    if (line.e === 'nobody') wrong.push(`${name}: nobody listened to ${line.id}, though the server took connections`)
    if (line.e === 'answer' && line.error) wrong.push(`${name}: ${line.id} was refused: ${line.error}`)
    if (line.e === 'answer' && !line.error && !places.has(line.id)) wrong.push(`${name}: ${line.id} was acknowledged and is lost`)
    if (line.e !== 'send') continue
    const seq = places.get(line.id)
    // Several connections of one process follow each other, so what was sent once is stored in the order of sending, or not at all.
    if (!retries && seq !== undefined) {
      if (seq < latest.seq) wrong.push(`${name}: ${latest.id} was sent before ${line.id}, but stored as ${latest.seq}, behind ${seq}`)
      latest = { seq, id: line.id }
    }
    sent.add(line.id)
  }
  for (const { id } of history.stored[channel]) {
    if (id && id.startsWith(`${name}-`) && !sent.has(id)) wrong.push(`${name}: ${id} is stored and was never sent`)
  }
}

// First deliveries of one process, that is on one connection, within one life of the server.
function checkOrder ({ name, lines }, wrong) {
  const latest = new Map()
  for (const job of lines) {
    if (job.e !== 'job' || job.again) continue
    if (job.seq <= (latest.get(job.run) || 0)) {
      wrong.push(`${name}: first delivery of ${job.seq} after that of ${latest.get(job.run)}, at ${job.t}`)
    }
    latest.set(job.run, job.seq)
  }
}

function checkGroup (name, workers, history, runOf, wrong) {
  const stored = history.stored[workers[0].channel]
  const proofs = settlements(history.producers, runOf)
  const jobs = new Map(stored.map(({ seq }) => [seq, { deliveries: [], done: [], cutOff: false }]))
  for (const worker of workers) {
    for (const line of worker.lines) {
      const place = { ...line, worker, run: runOf.get(line.run) }
      if (line.run && place.run === undefined) wrong.push(`${name}: ${worker.name} was connected to a server that nobody started: ${line.run}`)
      if (line.e === 'ack' && worker.ended !== undefined && jobs.has(line.seq)) jobs.get(line.seq).cutOff = true
      if (line.e === 'done') for (const [seq, sent] of line.acks) if (jobs.has(seq)) jobs.get(seq).done.push({ ...place, sent })
      if (line.e === 'job') {
        if (!jobs.has(line.seq)) wrong.push(`${name}: ${line.seq} was delivered and is not stored`)
        else jobs.get(line.seq).deliveries.push(place)
      }
    }
  }
  for (const { seq, id } of stored) checkJob(`${name}: ${seq}`, id, jobs.get(seq), history, proofs, wrong)
}

function checkJob (name, id, { deliveries, done, cutOff }, history, proofs, wrong) {
  if (!deliveries.length) wrong.push(`${name} (${id}) was never delivered`)
  else if (!done.length && !cutOff) wrong.push(`${name} (${id}) was delivered and never finished`)
  deliveries.sort((a, b) => a.run - b.run || a.t - b.t)
  const counting = done.filter((ack) => deliveries.some((one) => one.run === ack.run && one.t <= ack.sent))
  deliveries.forEach((delivery, index) => {
    if (delivery.id !== id) wrong.push(`${name}: ${delivery.worker.name} received ${delivery.id} instead of ${id}`)
    for (const ack of counting) {
      if (ack.run < delivery.run && settledIn(ack, proofs)) {
        wrong.push(`${name} was acknowledged and synced in run ${ack.run}, and delivered again in run ${delivery.run}`)
      }
      if (ack.run === delivery.run && delivery.t > ack.t + IN_FLIGHT_MS) {
        wrong.push(`${name} was acknowledged, and delivered again ${Math.round(delivery.t - ack.t)} ms later by the same server`)
      }
    }
    if (index) checkAgain(name, deliveries.slice(0, index), delivery, history, wrong)
  })
}

// A later delivery in the same life of the server needs a reason: AckWait, or that the member before was lost for the grace.
function checkAgain (name, earlier, delivery, history, wrong) {
  const before = earlier[earlier.length - 1]
  if (before.run !== delivery.run) return // (a)
  const since = delivery.t - before.t
  if (!delivery.again) wrong.push(`${name}: the second delivery of one server does not say so`)
  if (since >= before.worker.ackWaitMs - IN_FLIGHT_MS / 10) return // (b); the first may have come late
  const lost = before.worker.ended
  if (lost !== undefined && delivery.t >= lost + history.graceMs - SLACK_MS) return // (c)
  wrong.push(`${name} went to ${before.worker.name} and ${Math.round(since)} ms later to ${delivery.worker.name}` +
    (lost === undefined ? ', while the first was alive' : `, ${Math.round(delivery.t - lost)} ms after the first was killed`))
}

/** For each run the answered publishes, as pairs of begin and end. */
function settlements (producers, runOf) {
  const proofs = []
  for (const { lines } of producers) {
    const sent = new Map()
    for (const line of lines) {
      if (line.e === 'send') sent.set(line.id, line)
      if (line.e !== 'answer' || line.error || !sent.has(line.id) || sent.get(line.id).n !== line.n) continue
      const run = runOf.get(line.run)
      proofs[run] = Math.max(proofs[run] || 0, sent.get(line.id).t)
    }
  }
  return proofs
}

// proofs[run]: when the last publish that this run answered was sent.
function settledIn (ack, proofs) { return (proofs[ack.run] || 0) > ack.t }

module.exports = { check }
