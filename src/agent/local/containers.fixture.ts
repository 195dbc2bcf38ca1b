import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A real daemon and an image made of a static busybox: no registry is needed. */
export const image = 'millwright-test/busybox:latest'
/** The same with a user of its own. */
export const userImage = 'millwright-test/busybox:user'

export function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}

/** Makes the images; else why tests with containers are skipped here. */
export function containerProblem(): string | undefined {
  if (!works('docker', ['--version'])) return 'needs docker'
  if (!works('docker', ['version', '--format', '{{.Server.Version}}'])) return 'needs a Docker daemon that answers'
  const root = mkdtempSync(join(tmpdir(), 'busybox-'))
  try {
    const script = [
      'set -e; chmod 755 .; mkdir bin tmp; cp "$(command -v busybox)" bin/busybox',
      'for c in sh sleep cat echo env test rm id nc tail timeout true; do ln -s busybox bin/$c; done',
      `tar -c . | docker import - ${image}`,
      `tar -c . | docker import --change 'USER 1234:1234' - ${userImage}`,
      `docker run --rm --network host ${image} /bin/test 1`,
    ]
    execFileSync('/bin/sh', ['-c', script.join('\n')], { cwd: root, stdio: 'ignore' })
    return undefined
  } catch {
    return 'needs a static busybox and a daemon that can run it'
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** A daemon that cannot limit memory says so and runs the container without. */
export function canLimitMemory(): boolean {
  return docker('info', '--format', '{{.MemoryLimit}}') === 'true'
}

export function removeImages(): void {
  works('docker', ['rmi', '--force', image, userImage])
}

function works(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
