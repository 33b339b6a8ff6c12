// SPDX-License-Identifier: Apache-2.0
// Groups: what shares a position in a channel. One of them with its members, and what each holds for how long.
import { ask, askAll } from '../api.js'
import { actions, button, killButton, pauseButton, redriveButton, releaseButton, run, seekButton } from '../act.js'
import { age, badge, bytes, confirm, count, facts, fill, h, table, tile } from '../dom.js'

const MOST = 1000
const HELD = 200

export const groupLink = (object) => h('a', { href: `#/group/${object.group_id}`, 'data-key': `group-${object.group_id}` }, object.group)
const channelLink = (object) => h('a', { href: `#/channel/${encodeURIComponent(object.channel)}`, 'data-key': `channel-${object.group_id}` }, object.channel)

export function groupTable (caption, list, withChannel = true) {
  return table(caption, [
    { title: 'Group', cell: (one) => [groupLink(one), ' ', one.paused && badge('paused', 'warn')] },
    withChannel && { title: 'Channel', cell: channelLink },
    { title: 'Waiting', number: true, cell: (one) => count(one.waiting.messages) },
    { title: 'Bytes', number: true, wide: true, cell: (one) => bytes(one.waiting.bytes) },
    { title: 'Oldest', number: true, cell: (one) => age(one.waiting.oldest_age_ms) },
    { title: 'In flight', number: true, cell: (one) => count(one.in_flight.messages) },
    { title: 'Oldest', number: true, wide: true, cell: (one) => age(one.in_flight.oldest_age_ms) },
    { title: 'Dead', number: true, cell: (one) => one.dead.messages ? badge(count(one.dead.messages), 'bad') : '0' },
    { title: 'Members', number: true, wide: true, cell: (one) => count(one.members) }
  ].filter(Boolean), list, 'Nobody has subscribed.')
}

export const groups = {
  title: () => 'Groups',
  show (place) {
    const filter = h('input', { type: 'search', 'aria-label': 'Only groups or channels with these letters', placeholder: 'Filter' })
    const list = h('section', {})
    let found = null
    const draw = () => {
      const words = filter.value.toLowerCase()
      const some = found.all.filter((one) => `${one.channel} ${one.group}`.toLowerCase().includes(words))
      fill(list, groupTable('Groups', some), found.more && h('p.hint', {}, `The first ${count(found.all.length)} of ${count(found.total)}; weir group ls shows all.`))
    }
    filter.addEventListener('input', () => found && draw())
    fill(place, h('h1', {}, 'Groups'), filter, list)
    return async () => {
      found = await askAll('GROUP.LIST', 'groups', {}, MOST)
      draw()
    }
  }
}

function memberTable (members) {
  return table('Members', [
    { title: 'Client', cell: (one) => h('a', { href: `#/client/${encodeURIComponent(one.client_id)}`, 'data-key': `client-${one.member}` }, one.client_id) },
    { title: 'State', cell: (one) => badge(one.state, one.state === 'ready' ? 'good' : 'warn') },
    { title: 'Holds', number: true, cell: (one) => `${count(one.in_flight.messages)} of ${count(one.max_in_flight)}` },
    { title: 'For', number: true, cell: (one) => age(one.in_flight.oldest_held_ms) },
    { title: 'Bytes', number: true, wide: true, cell: (one) => bytes(one.in_flight.bytes) },
    { title: 'Ack wait', number: true, wide: true, cell: (one) => age(one.ack_wait_ms) },
    { title: 'Connection', number: true, wide: true, cell: (one) => count(one.cid) }
  ], members, 'No member is here.')
}

function heldTable (state, id, messages) {
  return table('Messages that are out', [
    { title: 'Sequence', number: true, cell: (one) => count(one.sequence) },
    { title: 'State', cell: (one) => badge(one.state.replace('_', ' '), one.state === 'in_flight' ? 'good' : 'warn') },
    { title: 'Held by', cell: (one) => one.client_id || '–' },
    { title: 'For', number: true, cell: (one) => age(one.held_ms) },
    { title: 'Attempts', number: true, cell: (one) => count(one.attempts) },
    { title: 'Age', number: true, wide: true, cell: (one) => age(one.age_ms) },
    { title: 'Size', number: true, wide: true, cell: (one) => bytes(one.size) },
    { title: 'Left', number: true, wide: true, cell: (one) => age(one.deadline_ms) },
    { title: '', cell: (one) => h('span.actions', {}, releaseButton(state, id, one.sequence), killButton(state, id, one.sequence)) }
  ], messages, 'Nothing is out.')
}

export const group = {
  title: (id) => `Group ${id}`,
  show (place, state, id) {
    const number = Number(id)
    return async () => {
      const one = await ask('GROUP.INFO', { group_id: number })
      const names = { group_id: number }
      const { messages } = await ask('MSG.LIST', { ...names, state: 'in_flight', limit: HELD })
      const other = one.delayed.messages ? (await ask('MSG.LIST', { ...names, state: 'delayed', limit: HELD })).messages : []
      fill(place,
        h('h1', {}, one.group, ' ', one.paused && badge('paused', 'warn')),
        h('p.hint', {}, `${one.kind}${one.durable ? ', durable' : ''}, of channel `, h('a', { href: `#/channel/${encodeURIComponent(one.channel)}`, 'data-key': 'channel' }, one.channel)),
        h('div.tiles', {},
          tile('Waiting', count(one.waiting.messages), `${bytes(one.waiting.bytes)}, oldest ${age(one.waiting.oldest_age_ms)}`),
          tile('In flight', count(one.in_flight.messages), `${bytes(one.in_flight.bytes)}, oldest ${age(one.in_flight.oldest_age_ms)}`),
          tile('Delayed', count(one.delayed.messages), 'back-off'),
          tile('Dead', count(one.dead.messages), bytes(one.dead.bytes), one.dead.messages ? 'bad' : '')),
        actions(
          pauseButton(state, 'GROUP', one, names),
          seekButton(state, one),
          one.dead.messages ? redriveButton(state, number, 'Redrive dead', { all: true }) : null,
          button('Remove', 'remove', async () => {
            if (!await confirm(`Remove ${one.group}?`, 'With its position. Members are closed.', 'Remove')) return
            if (await run(state, `${one.group} is gone.`, 'GROUP.RM', { ...names, force: true })) state.go('#/groups')
          }, 'danger')),
        h('h2', {}, 'Members'), memberTable(one.members || []),
        h('h2', {}, 'Out'), heldTable(state, number, [...messages, ...other]),
        h('h2', {}, 'Position'),
        facts([['Next sequence', count(one.next_sequence)], ['Finished up to', count(one.ack_floor)], ['Delivered', count(one.delivered)],
          ['Redelivered', count(one.redelivered)], ['Acknowledged', count(one.acked)], ['Number', count(one.group_id)]]))
    }
  }
}
