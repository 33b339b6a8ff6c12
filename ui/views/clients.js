// SPDX-License-Identifier: Apache-2.0
// Clients of NATS Streaming: who is there, what they hold.
import { ask, askAll } from '../api.js'
import { actions, button, run } from '../act.js'
import { badge, bytes, confirm, count, facts, fill, h, table, time } from '../dom.js'
import { groupLink } from './groups.js'

const MOST = 1000

export const clients = {
  title: () => 'Clients',
  show (place) {
    return async () => {
      const { all, more, total } = await askAll('CLIENT.LIST', 'clients', {}, MOST)
      fill(place, h('h1', {}, 'Clients'),
        table('Clients of NATS Streaming', [
          { title: 'Client', cell: (one) => h('a', { href: `#/client/${encodeURIComponent(one.client_id)}`, 'data-key': `client-${one.client_id}` }, one.client_id) },
          { title: 'Holds', number: true, cell: (one) => count(one.in_flight.messages) },
          { title: 'Bytes', number: true, wide: true, cell: (one) => bytes(one.in_flight.bytes) },
          { title: 'Subscriptions', number: true, cell: (one) => count(one.subscriptions) },
          { title: 'Since', wide: true, cell: (one) => time(one.since) },
          { title: 'Connection', number: true, wide: true, cell: (one) => count(one.cid) },
          { title: 'Heartbeats', cell: (one) => one.heartbeats_failed ? badge(`${one.heartbeats_failed} missed`, 'warn') : badge('fine', 'good') }
        ], all, 'No client is registered.'),
        more && h('p.hint', {}, `The first ${count(all.length)} of ${count(total)}; weir client ls shows all.`))
    }
  }
}

export const client = {
  title: (id) => id,
  show (place, state, id) {
    return async () => {
      const one = await ask('CLIENT.INFO', { client_id: id })
      fill(place, h('h1', {}, one.client_id),
        facts([['Connection', count(one.cid)], ['Since', time(one.since)], ['Holds', `${count(one.in_flight.messages)} (${bytes(one.in_flight.bytes)})`], ['Heartbeats missed', count(one.heartbeats_failed)]]),
        actions(button('Kick', 'kick', async () => {
          if (!await confirm(`Kick ${one.client_id}?`, 'It is closed; what it held goes to others at once. Its durables stay.', 'Kick')) return
          if (await run(state, `${one.client_id} is closed.`, 'CLIENT.KICK', { client_id: id })) state.go('#/clients')
        }, 'danger')),
        h('h2', {}, 'Subscriptions'),
        table('Subscriptions', [
          { title: 'Group', cell: groupLink },
          { title: 'Channel', cell: (group) => group.channel },
          { title: 'Holds', number: true, cell: (group) => count(group.in_flight.messages) },
          { title: 'Bytes', number: true, wide: true, cell: (group) => bytes(group.in_flight.bytes) }
        ], one.groups, 'It has subscribed to nothing.'))
    }
  }
}
