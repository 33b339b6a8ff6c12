// SPDX-License-Identifier: Apache-2.0
// KEDA's two scalers, computed as they do it: what they ask for, and what they make of the answer (TL-01…TL-17).
'use strict'

const { get, json } = require('./page')

// What KEDA's "stan" scaler (2.18) does with an answer: { active, lag }, or an error.
async function kedaStan (from, { queueGroup, durableName, subject, activationLagThreshold = 0 }) {
  const answer = await get(`/streaming/channelsz?channel=${subject}&subs=1`, from)
  if (answer.status === 404) {
    const all = await get('/streaming/channelsz', from)
    if (all.status !== 200) throw new Error('the endpoint is broken')
    return { active: false, lag: 0 }
  }
  const channel = JSON.parse(answer.text)
  const matching = (channel.subscriptions || []).filter((one) => one.queue_name === `${durableName}:${queueGroup}`)
  const lag = channel.last_seq - Math.max(0, ...matching.map((one) => one.last_sent))
  return { active: (matching.length > 0 && matching[0].pending_count > 0) || lag > activationLagThreshold, lag }
}

// What KEDA's "nats-jetstream" scaler does: { active, lag }, or an error.
async function kedaJetstream (from, { account = '$G', stream, consumer, activationLagThreshold = 0 }) {
  const page = await json(`/jsz?acc=${account}&consumers=true&config=true`, from)
  const found = (of) => {
    for (const one of of.account_details || []) {
      if (one.name !== account && one.id !== account) continue
      for (const each of one.stream_detail || []) {
        if (each.name === stream) return (each.consumer_detail || []).find((now) => now.name === consumer)
      }
    }
  }
  const chosen = found(page)
  if (page.meta_cluster && page.meta_cluster.cluster_size > 1) { // it would look for the leader among the nodes
    const varz = await json('/varz', from)
    if (!chosen || chosen.cluster.leader !== varz.server_name) throw new Error('another node is asked')
  }
  if (!chosen) throw new Error(`consumer ${consumer} of ${stream} is not there`)
  const lag = chosen.num_pending + chosen.num_ack_pending
  return { active: lag > activationLagThreshold, lag }
}

module.exports = { kedaStan, kedaJetstream }
