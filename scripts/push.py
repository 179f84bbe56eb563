"""`pidkd push` from a checkout."""

import door

if __name__ == '__main__':
  door.enter('push')
