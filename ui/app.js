// SPDX-License-Identifier: Apache-2.0
// The dashboard: which page is shown, and that it is as new as the server. A page is { title, show (place, state, rest) → update function }; the update is
// called again every two seconds while the window is seen.
import { ApiError, ask, credentials } from './api.js'
import { fill, form, h, toast } from './dom.js'
import { History } from './history.js'
import { channel, channels } from './views/channels.js'
import { clients, client } from './views/clients.js'
import { dead } from './views/dead.js'
import { group, groups } from './views/groups.js'
import { overview } from './views/overview.js'
import { server } from './views/server.js'

const EVERY_MS = 2000
const PAGES = { '': overview, channels, channel, groups, group, dead, clients, client, server }
const MENU = [['', 'Overview'], ['channels', 'Channels'], ['groups', 'Groups'], ['dead', 'Dead letters'], ['clients', 'Clients'], ['server', 'Server']]
const PARENTS = { channel: 'channels', group: 'groups', client: 'clients' }

const main = document.getElementById('main')
const live = document.getElementById('live')
const state = { history: new History(), go: (hash) => { location.hash = hash }, refresh: () => tick(true) }
let update = null
let shown = 0
let running = false
let again = false

function parts () {
  return location.hash.replace(/^#\/?/, '').split('/').map((part) => {
    try { return decodeURIComponent(part) } catch (error) { return part }
  })
}

function showMenu () {
  const current = parts()[0]
  fill(document.getElementById('nav'), MENU.map(([name, title]) =>
    h('a', { href: `#/${name}`, 'aria-current': name === (PARENTS[current] || current) ? 'page' : null }, title)))
}

async function open () {
  const [name, ...rest] = parts()
  const page = PAGES[name] || overview
  const number = ++shown
  showMenu()
  document.title = `${page.title(...rest)} – Weir`
  const place = h('div', {})
  fill(main, place)
  update = page.show(place, state, ...rest)
  await tick(true)
  // Whoever has just come begins at the top; whoever went on, at what is new.
  if (number === shown && number > 1) main.focus({ preventScroll: true })
}

/** What the reader stands on and how far tables are scrolled stays, though the rows are made anew. */
async function keepingPlace (work) {
  const key = document.activeElement && document.activeElement.dataset.key
  const scrolled = [...main.querySelectorAll('.scroll')].map((one) => [one.getAttribute('aria-label'), one.scrollLeft])
  await work()
  for (const [label, left] of scrolled) {
    const found = left && [...main.querySelectorAll('.scroll')].find((one) => one.getAttribute('aria-label') === label)
    if (found) found.scrollLeft = left
  }
  if (key && (!document.activeElement || document.activeElement === document.body)) {
    const found = [...main.querySelectorAll('[data-key]')].find((one) => one.dataset.key === key)
    if (found) found.focus({ preventScroll: true })
  }
}

async function tick (now) {
  if (running) { again = again || now; return }
  if (document.hidden && !now) return
  running = true
  const number = shown
  try {
    const info = await ask('SERVER.INFO')
    state.history.add(info)
    document.getElementById('server-name').textContent = info.name && info.name !== info.server_id ? info.name : info.cluster_id || 'Weir'
    await keepingPlace(async () => { if (update && number === shown) await update(info) })
    live.textContent = 'live'
    live.className = 'good'
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error)
    live.textContent = error.status === 401 || error.status === 403 ? 'not permitted' : 'no answer'
    live.className = 'bad'
    if (number === shown && (error.status === 401 || error.status === 403)) fill(main, refusal(error))
    else if (number === shown && error.status === 404) fill(main, h('p.empty', {}, `${error.message}.`))
  }
  running = false
  if (again) { again = false; tick(true) }
}

function refusal (error) {
  return h('section.refusal', {}, h('h1', {}, 'Who are you?'),
    h('p', {}, 'This server shows its queues to operators only. ', credentials.get() ? error.message : ''),
    h('button', { type: 'button', onclick: login }, 'Log in'))
}

async function login () {
  if (credentials.get()) {
    credentials.clear()
  } else {
    const given = await form('Log in', 'As the admin block of the server’s configuration has it. Kept for this tab only.', [
      { name: 'user', label: 'User', required: true, autocomplete: 'username' },
      { name: 'password', label: 'Password', type: 'password', required: true, autocomplete: 'current-password' }
    ], 'Log in')
    if (!given) return
    credentials.set(given.user, given.password)
    try {
      await ask('SERVER.INFO')
    } catch (error) {
      credentials.clear()
      toast(error.message, 'bad')
    }
  }
  showLogin()
  open()
}

function showLogin () {
  document.getElementById('login').textContent = credentials.get() ? `Log out ${credentials.user()}` : 'Log in'
  document.body.classList.toggle('operator', Boolean(credentials.get()))
}

function changeTheme () {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
  document.documentElement.dataset.theme = dark ? 'light' : 'dark'
  localStorage.setItem('weir-theme', document.documentElement.dataset.theme)
  main.querySelectorAll('.chart').forEach((one) => one.restyle())
  tick(true)
}

const theme = localStorage.getItem('weir-theme')
if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme
document.getElementById('theme').addEventListener('click', changeTheme)
document.getElementById('login').addEventListener('click', login)
window.addEventListener('hashchange', open)
document.addEventListener('visibilitychange', () => tick(true))
showLogin()
open()
setInterval(() => tick(false), EVERY_MS)
