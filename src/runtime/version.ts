import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The installation: the folder that holds our package.json. Works from `dist/` (bundled) and from `src/`. */
export const installation = findUp(dirname(fileURLToPath(import.meta.url)))
export const version = readVersion(installation)

function findUp(start: string): string {
  for (let dir = start; ; dir = dirname(dir)) {
    try {
      if (JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')).name === 'millwright') return dir
    } catch {
      // Not here: look one folder up.
    }
    if (dirname(dir) === dir) return start
  }
}

function readVersion(dir: string): string {
  return String(JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')).version)
}
