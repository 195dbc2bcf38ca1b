import { join } from 'node:path'
import { silentLog } from '../base/log.ts'
import { realClock } from '../runtime/clock.ts'
import { createLocalRunner } from './local/runner.ts'

/** Started by the crash tests, and killed at a random moment while it starts pods or finds them again. */
const [dir = '', ...uids] = process.argv.slice(2)
const image = process.env['POD_IMAGE']
const runner = createLocalRunner({ dir, node: 'n', clock: realClock, log: silentLog })
process.stdout.write('up\n')
for (const uid of uids) {
  if ((await runner.find(uid)) !== undefined) continue
  // A container sees its own folder alone.
  const starts = image === undefined ? join(dir, `${uid}.starts`) : 'starts'
  const command = ['/bin/sh', '-c', `echo x >>"${starts}"; exec sleep 600`]
  await runner.start({ uid, namespace: 'default', name: uid, node: 'n', env: {}, volumes: [], command, image })
}
process.stdout.write('all\n')
setInterval(() => {}, 1000)
