import { createHash } from 'node:crypto'

/** One mutant in so many is asked about, the same ones while the code is the same; 1 for all of them. */
export const oneIn = Number(process.env['MILLWRIGHT_MUTANTS_ONE_IN'] ?? 1)

export function isInSample({ id }: { id: string }): boolean {
  return createHash('sha256').update(id).digest().readUInt32BE() % oneIn === 0
}
