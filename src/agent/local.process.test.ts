import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, vi } from 'vitest'
import { smallDisk, smallDiskProblem } from '../../test/small-disk.fixture.ts'
import { diskFull, storageUnreachable } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import { around } from '../blob/around.ts'
import { createFileBlobs } from '../blob/file/blobs.ts'
import { shipFolder } from '../blob/file/folder.ts'
import { realClock } from '../runtime/clock.ts'
import { type AgentBench, agentContract, type JobHand, type StorageFault } from './contract-suite.ts'
import { isRunning } from './fixture.ts'
import { readExit } from './local/exit.ts'
import { localFiles } from './local/files.ts'
import { podFolder } from './local/folders.ts'
import { createLocalRunner } from './local/runner.ts'
import { parseClaim } from './local/shim.ts'

agentContract('on this machine', async () => openLocal(), { diskProblem: smallDiskProblem })

function openLocal(): AgentBench {
  const aside = mkdtempSync(join(tmpdir(), 'agent-contract-'))
  const disk = smallDiskProblem === undefined ? smallDisk(4 << 20) : undefined
  const dir = join(disk?.dir ?? aside, 'agent')
  const faults = new Set<StorageFault>()
  let gate: { isAsked: boolean; opened: Promise<void> } | undefined
  const stored = createFileBlobs({ dir: join(aside, 'blobs') })
  const reach = (): void => {
    if (faults.has('does not answer')) throw storageUnreachable('it does not answer')
  }
  const blobs = around(stored, {
    async read(ask) {
      reach()
      if (gate !== undefined) gate.isAsked = true
      await gate?.opened
      return await ask()
    },
    async write(ask) {
      reach()
      if (faults.has('is full')) throw diskFull('object storage', undefined)
      return await ask()
    },
  })
  const jobs = new Map<string, JobHand>()
  const job = (uid: string): JobHand => {
    const known = jobs.get(uid) ?? createJob(dir, uid, join(aside, uid))
    jobs.set(uid, known)
    return known
  }
  const claims = () =>
    namesIn(join(dir, 'pods')).flatMap((uid) => {
      const folder = podFolder(dir, uid)
      const text = readOr(folder.claim)
      const claim = parseClaim(text)
      return claim === undefined ? [] : [{ folder, text, claim }]
    })
  return {
    clock: realClock,
    blobs,
    agent: () => ({
      runner: createLocalRunner({ dir, node: 'n', clock: realClock, log: silentLog }),
      files: localFiles({ dir }),
    }),
    run: (uid, env) => {
      mkdirSync(join(aside, uid), { recursive: true })
      const command = ['/bin/sh', '-c', obey, 'job', join(aside, uid)]
      return { uid, namespace: 'default', name: 'p', node: 'n', command, env, volumes: [] }
    },
    job,
    async commit(ranks) {
      const manifests: string[] = []
      const digests: string[] = []
      for (let rank = 0; rank < ranks; rank++) {
        const key = `checkpoints-before/step-20/rank-${rank}/manifest.json`
        const folder = join(aside, `committed-${rank}`)
        mkdirSync(folder)
        writeFileSync(join(folder, `part-${rank}`), key)
        writeFileSync(join(folder, 'weights'), Buffer.alloc(100_000))
        manifests.push(key)
        digests.push((await shipFolder(stored, folder, key, { step: 20, attempt: 1, rank })).digest)
      }
      return { step: 20, attempt: 1, manifests, digests }
    },
    failStorage(how) {
      faults.add(how)
      return () => void faults.delete(how)
    },
    holdStorage() {
      let cancel = (): void => {}
      const held = { isAsked: false, opened: new Promise<void>((resolve) => (cancel = resolve)) }
      gate = held
      return { isAsked: () => held.isAsked, cancel }
    },
    fillDisk() {
      disk?.fill()
      return () => disk?.free()
    },
    async startAnew() {
      for (const { folder, text, claim } of claims()) {
        if (readExit(folder) === undefined) {
          killGroup(claim.shim.pid)
          // Its parent, which is this process, saw that; where the power went nobody did.
          await vi.waitFor(() => expect(readExit(folder)).toBeDefined(), patience)
          writeFileSync(folder.exit, '   \n')
        }
        writeFileSync(folder.claim, text.replace(/^[^\t]+/, 'another-boot'))
      }
    },
    remains: (uid) => namesIn(join(dir, 'pods')).filter((name) => name.includes(uid)),
    wait: (look) =>
      vi.waitFor(async () => {
        const found = await look()
        if (found === undefined || found === false) throw new Error('not yet')
        return found
      }, patience),
    async close() {
      disk?.free()
      for (const { claim } of claims()) killGroup(claim.shim.pid)
      disk?.close()
      rmSync(aside, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** How long something may be on its way on a busy machine. */
const patience = { timeout: 30_000, interval: 10 }

/** A job that does one thing after another as it is told, by files. */
const obey = `echo x >>$1/starts; echo $$ >$1/pid; i=0
while :; do
if [ -e $1/order-$i ]; then . $1/order-$i; i=$((i+1)); echo $i >$1/obeyed; else sleep 0.02; fi
done`

function createJob(dir: string, uid: string, told: string): JobHand {
  const folder = podFolder(dir, uid)
  let orders = 0
  const order = (script: string): void => {
    writeFileSync(join(told, 'next'), `${script}\n`)
    renameSync(join(told, 'next'), join(told, `order-${orders++}`))
  }
  const pid = (): number => Number(readOr(join(told, 'pid')))
  return {
    tell: (line) => order(`echo '${JSON.stringify(line)}' >>$MILLWRIGHT_PROGRESS`),
    save: (step) =>
      order(`s=$MILLWRIGHT_CHECKPOINT_DIR/step-${step}; mkdir $s.tmp; echo ${step} >$s.tmp/weights; mv $s.tmp $s`),
    exit: (code) => order(`exit ${code}`),
    die: (signal) => order(`kill -${signal.slice(3)} $$`),
    beDeaf: () => order(`trap '' TERM`),
    leaveOutput: () => order('echo model >$MILLWRIGHT_OUTPUT_DIR/model'),
    get hasObeyed() {
      return Number(readOr(join(told, 'obeyed'))) === orders
    },
    get starts() {
      return readOr(join(told, 'starts')).split('\n').length - 1
    },
    get state() {
      if (pid() === 0 || !isRunning(pid())) return 'gone'
      return stateOf(pid()).startsWith('T') ? 'stopped' : 'running'
    },
    get asked() {
      const text = readOr(folder.control)
      if (text === '') return undefined
      const { checkpoint, stop } = JSON.parse(text)
      return checkpoint === undefined ? undefined : { step: checkpoint.step, stop: stop !== undefined }
    },
    get restored() {
      const root = join(folder.checkpoints, 'step-20')
      return namesIn(root)
        .filter((name) => name.startsWith('part-'))
        .map((name) => readFileSync(join(root, name), 'utf8'))
    },
  }
}

function stateOf(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  } catch {
    return '' // it ended meanwhile
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

function namesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path).toSorted() : []
}

function readOr(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}
