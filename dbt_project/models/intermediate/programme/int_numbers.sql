-- 0 to 999, to unfold lists and schedules.
with digits as (

    {% for digit in range(10) %}
    select {{ digit }} as digit{{ ' union all' if not loop.last }}
    {% endfor %}

),

numbers as (

    select cast(hundreds.digit * 100 + tens.digit * 10 + ones.digit as integer) as n
    from digits as hundreds
    cross join digits as tens
    cross join digits as ones

)

select * from numbers
