import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { applied, type Patch, readPatch } from './patch.ts'

const folder = 'test/planted'

/** Names of all planted bugs. */
export function allPlanted(root = '.'): string[] {
  const files = readdirSync(join(root, folder)).filter((name) => name.endsWith('.patch'))
  return files.map((name) => name.slice(0, -'.patch'.length)).sort()
}

export function plantedPatch(name: string, root = '.'): Patch {
  return readPatch(readFileSync(join(root, folder, `${name}.patch`), 'utf8'))
}

/** The sources that a patch changes, as it leaves them; throws, with the patch's name, where it does not apply. */
export function plantedSources(name: string, root = '.'): Map<string, string> {
  const sources = new Map<string, string>()
  for (const [path, hunks] of plantedPatch(name, root).files) {
    try {
      sources.set(path, applied(readFileSync(join(root, path), 'utf8'), hunks))
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`${folder}/${name}.patch does not apply to ${path}: ${why}`, { cause: error })
    }
  }
  return sources
}

/** The hunt with `sources` in the place of those of the working tree, which is left as it is. */
export async function bundleHunt(sources: ReadonlyMap<string, string>, outfile: string): Promise<void> {
  await build({
    entryPoints: ['bench/hunt/child.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    logLevel: 'error',
    plugins: [inPlaceOf(sources)],
  })
}

function inPlaceOf(sources: ReadonlyMap<string, string>): Plugin {
  return {
    name: 'planted',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const contents = sources.get(relative(process.cwd(), path))
        return contents === undefined ? undefined : { contents, loader: 'ts' }
      })
    },
  }
}
